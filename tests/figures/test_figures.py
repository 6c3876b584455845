# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures: they appear, they show the numbers, and they are the same again."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import colors, pyplot
from PIL import Image

from geco_tf import figures
from geco_tf.figures import image_grid, series, style


def _rows(num=20, *, constraints=("re",), **changes):
  """Metrics of a run that has no noise."""
  rows = []
  for i in range(num):
    step = 100 * (i + 1)
    row = {
      "step": step,
      "loss": 90.0 - i,
      "kl": 1.0 + 2 * i,
      "rmse": 0.1 + 0.3 / (i + 1),
      "neg_log_likelihood_per_dim": 6.0 - 0.05 * i,
    }
    for j, name in enumerate(constraints):
      row[f"geco/{name}/multiplier"] = (j + 1) * 1.1**i
      row[f"geco/{name}/moving_average"] = -1.0
    if i % 5 == 4:
      row.update(test_kl=row["kl"] + 1, test_rmse=1.1 * row["rmse"])
    rows.append({**row, **changes})
  return rows


def _points(ax):
  """The coloured points of a panel, [N, 2]."""
  return np.concatenate([c.get_offsets() for c in ax.collections])


def _texts(ax):
  return [text.get_text() for text in ax.texts]


def _figure(kind, rows):
  draw = {
    "trajectory": figures.trajectory,
    "training_curves": figures.training_curves,
  }[kind]
  return draw(rows, kappa=0.1)


_KINDS = pytest.mark.parametrize("kind", ["trajectory", "training_curves"])


@_KINDS
@pytest.mark.parametrize(
  "rows",
  [
    pytest.param(_rows(), id="usual"),
    pytest.param(_rows(1), id="one row"),
    pytest.param(_rows(constraints=()), id="no constraint"),
    pytest.param(_rows(constraints=("re", "cla/7", "pncc")), id="several"),
    pytest.param(_rows(kl=float("nan"), rmse=float("nan")), id="nan"),
    pytest.param(_rows(**{"geco/re/multiplier": 0.0}), id="multiplier 0"),
    pytest.param(_rows(**{"geco/re/multiplier": 1e-38}), id="multiplier tiny"),
    pytest.param(
      [*_rows(2), *_rows(2, **{"geco/re/multiplier": 3e38})],
      id="multiplier exploded",
    ),
    pytest.param(_rows(loss=float("inf"), kl=float("inf")), id="infinite"),
    pytest.param([{"step": 1}, {"step": 2}], id="steps alone"),
    pytest.param([*_rows(3), {"step": 400}, *_rows(1, kl=None)], id="uneven"),
  ],
)
def test_pictures_appear_for_any_rows(kind, rows, tmp_path):
  figure = _figure(kind, rows)
  png, svg = figures.save(figure, tmp_path / "new" / kind)
  assert png == str(tmp_path / "new" / f"{kind}.png")
  with Image.open(png) as image:
    inches = figure.get_size_inches()
    assert image.size == tuple(int(150 * side) for side in inches)
    # Something is drawn: it is not all background.
    assert len(np.unique(np.asarray(image.convert("L")))) > 10
  with open(svg, encoding="utf-8") as file:
    assert file.read().rstrip().endswith("</svg>")


@_KINDS
def test_same_rows_give_same_bytes(kind, tmp_path):
  # The second stem is longer: the name must not be in the bytes either.
  paths = [
    figures.save(_figure(kind, _rows()), tmp_path / stem)
    for stem in ("a", "another")
  ]
  for first, second in zip(*paths, strict=True):
    with open(first, "rb") as one, open(second, "rb") as two:
      assert one.read() == two.read()


@_KINDS
def test_rows_are_checked(kind):
  with pytest.raises(ValueError, match="`rows` must hold at least one row"):
    _figure(kind, [])
  with pytest.raises(ValueError, match="row 1 has none"):
    _figure(kind, [{"step": 1}, {"kl": 2.0}])


def test_drawing_leaves_matplotlib_as_it_was(tmp_path):
  before = dict(mpl.rcParams)
  figures.save(_figure("training_curves", _rows()), tmp_path / "a")
  assert dict(mpl.rcParams) == before


def test_drawing_leaves_no_open_figure():
  _figure("trajectory", _rows())
  _figure("training_curves", _rows())
  assert not pyplot.get_fignums()


class TestTrajectory:
  def test_panels_show_the_numbers(self):
    rows = _rows()
    figure = figures.trajectory(rows, kappa=0.1)
    plane, multiplier, error, *_ = figure.axes

    def column(key):
      return np.array([row[key] for row in rows], dtype=np.float64)

    np.testing.assert_array_equal(
      _points(plane),
      np.stack([column("kl"), column("neg_log_likelihood_per_dim")], axis=1),
    )
    np.testing.assert_array_equal(
      _points(multiplier),
      np.stack([column("step"), column("geco/re/multiplier")], axis=1),
    )
    np.testing.assert_array_equal(
      _points(error), np.stack([column("step"), column("rmse")], axis=1)
    )
    (threshold,) = (
      line for line in error.get_lines() if line.get_linestyle() == "--"
    )
    np.testing.assert_array_equal(threshold.get_ydata(), [0.1, 0.1])

  def test_one_iteration_has_one_colour_in_all_panels(self):
    # A row without the information plane must not shift its colours.
    rows = _rows(5)
    del rows[2]["kl"]
    figure = figures.trajectory(rows)
    plane, multiplier, error, *_ = (
      np.concatenate([c.get_facecolors() for c in ax.collections])
      for ax in figure.axes[:3]
    )
    np.testing.assert_array_equal(multiplier, error)
    np.testing.assert_array_equal(plane, np.delete(error, 2, axis=0))
    assert len(np.unique(error, axis=0)) == len(rows)

  def test_beta_axis_reads_the_reciprocal(self):
    figure = figures.trajectory(_rows())
    multiplier = figure.axes[1]
    (beta,) = (ax for ax in figure.axes if "β" in ax.get_ylabel())
    figure.draw_without_rendering()
    for value in (0.7, 3.0, 400.0):
      np.testing.assert_allclose(
        multiplier.transData.transform((0.0, value))[1],
        beta.transData.transform((0.0, 1 / value))[1],
        rtol=1e-9,
      )

  def test_one_constraint_is_chosen_of_several(self):
    rows = _rows(constraints=("re", "cla"))
    both = figures.trajectory(rows).axes[1]
    assert len(both.collections) == 2
    labels = [text.get_text() for text in both.get_legend().get_texts()]
    assert labels == ["cla", "re"]
    one = figures.trajectory(rows, constraint="re").axes[1]
    assert len(one.collections) == 1
    assert _points(one)[0, 1] == 1.0

  @pytest.mark.parametrize("constraints", [(), ("cla",)])
  def test_unknown_constraint_is_refused(self, constraints):
    with pytest.raises(ValueError, match=r"`constraint` must .*'re'"):
      figures.trajectory(_rows(constraints=constraints), constraint="re")

  def test_what_was_not_measured_is_said(self):
    rows = [{"step": 1}]
    plane, multiplier, error, *_ = figures.trajectory(rows).axes
    assert _texts(plane) == ["not measured"]
    assert _texts(multiplier) == ["no multiplier was learned"]
    assert _texts(error) == ["not measured"]

  def test_long_run_has_its_points_as_pixels(self):
    # An SVG with a shape for each of them would be megabytes.
    for num, is_rasterized in ((2000, False), (2001, True)):
      ax = figures.trajectory(_rows(num, constraints=())).axes[2]
      assert ax.collections[0].get_rasterized() is is_rasterized


class TestTrainingCurves:
  def test_train_and_test_are_lines_at_their_own_steps(self):
    rows = _rows()
    _, kl, rmse, multiplier = figures.training_curves(rows, kappa=0.1).axes
    train, test = kl.get_lines()
    np.testing.assert_array_equal(train.get_xdata(), [r["step"] for r in rows])
    np.testing.assert_array_equal(test.get_xdata(), [500, 1000, 1500, 2000])
    np.testing.assert_array_equal(
      test.get_ydata(), [r["test_kl"] for r in rows if "test_kl" in r]
    )
    assert len(rmse.get_lines()) == 3
    np.testing.assert_array_equal(rmse.get_lines()[2].get_ydata(), [0.1, 0.1])
    assert multiplier.get_yscale() == "log"

  def test_nothing_learned_is_said(self):
    ax = figures.training_curves(_rows(constraints=())).axes[3]
    assert _texts(ax) == ["no multiplier was learned"]


class TestSeries:
  def test_rows_without_a_key_are_left_out_and_null_is_nan(self):
    rows = [{"step": 1, "kl": 2.0}, {"step": 2}, {"step": 3, "kl": None}]
    steps, kl = series.columns(rows, "kl")
    np.testing.assert_array_equal(steps, [1, 3])
    np.testing.assert_array_equal(kl, [2.0, np.nan])

  def test_constraints_are_those_with_a_multiplier(self):
    rows = [
      {"step": 1, "geco/re/multiplier": 1.0, "geco/re/multiplier_max": 1.0},
      {"step": 2, "geco/a/b/multiplier": 1.0, "geco/c/satisfied": 1.0},
    ]
    assert series.constraint_names(rows) == ("a/b", "re")


class TestImageGrid:
  @pytest.mark.parametrize(
    "shape", [(1, 8, 8, 1), (8, 28, 28, 1), (3, 64, 48, 3)]
  )
  def test_pictures_appear_and_same_images_give_same_bytes(
    self, shape, tmp_path
  ):
    images = np.random.default_rng(0).uniform(size=shape)
    paths = []
    for stem in ("a", "another"):
      figure = figures.reconstructions(images, images, images.repeat(2, axis=0))
      paths.append(figures.save(figure, tmp_path / stem))
    for first, second in zip(*paths, strict=True):
      with open(first, "rb") as one, open(second, "rb") as two:
        assert one.read() == two.read()
    with Image.open(paths[0][0]) as image:
      inches = figure.get_size_inches()
      assert image.size == tuple(int(150 * side) for side in inches)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["data", "reconstruction", "samples from the prior"]

  def test_context_comes_first_and_ten_columns_are_enough(self):
    images = np.zeros((12, 8, 8, 1))
    figure = figures.reconstructions(images, images, images, context=images)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles[0] == "context"
    assert figure.axes[0].images[0].get_array().shape[1] == 10 * 8 + 9

  def test_channels_become_rows_below_each_other(self):
    images = np.arange(6.0).reshape(6, 1, 1, 1) + [0.0, 0.5]
    rows = figures.channels_as_rows(images, num_columns=3)
    expected = [0, 1, 2, 0.5, 1.5, 2.5, 3, 4, 5, 3.5, 4.5, 5.5]
    np.testing.assert_array_equal(rows[:, 0, 0, 0], expected)

  def test_drawing_has_a_row_for_each_step(self):
    figure = figures.drawing(np.zeros((3, 4, 8, 8, 1)))
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["after step 1", "after step 2", "after step 3"]

  def test_each_image_is_drawn_at_its_place_and_no_pixel_is_blended(self):
    side, gap = 28, 2
    images = np.linspace(0, 1, 5).reshape(5, 1, 1, 1) * np.ones((side, side, 1))
    (ax,) = image_grid.labelled_rows({"five": images}, num_columns=3).axes
    (artist,) = ax.images
    assert artist.get_interpolation() == "nearest"
    picture = artist.get_array()
    assert picture.shape == (2 * side + gap, 3 * side + 2 * gap, 3)
    for i, image in enumerate(images):
      top, left = (side + gap) * (i // 3), (side + gap) * (i % 3)
      drawn = picture[top : top + side, left : left + side]
      np.testing.assert_array_equal(drawn, np.round(255 * image[0, 0, 0]))
    # Gaps and the place without an image are white.
    assert (picture[side : side + gap] == 255).all()
    assert (picture[side + gap :, 2 * (side + gap) :] == 255).all()

  def test_values_are_clipped_and_nan_is_seen(self):
    images = np.array([-1.0, 2.0, np.nan]).reshape(3, 1, 1, 1)
    images = images * np.ones((3, 4, 4, 1))
    (ax,) = image_grid.labelled_rows({"x": images}, num_columns=3).axes
    picture = ax.images[0].get_array()
    expected = np.round(255 * np.array(colors.to_rgb(style.VERMILLION)))
    np.testing.assert_array_equal(picture[0, 0], 0)
    np.testing.assert_array_equal(picture[0, 5], 255)
    np.testing.assert_array_equal(picture[0, 10], expected)

  @pytest.mark.parametrize(
    ("shapes", "message"),
    [
      (((2, 8, 8), (2, 8, 8), (2, 8, 8)), "`data` must be at least one image"),
      (((2, 8, 8, 2),) * 3, r"1 or 3\]; got \(2, 8, 8, 2\)"),
      (((0, 8, 8, 1),) * 3, "at least one image"),
      (
        ((2, 8, 8, 1), (3, 8, 8, 1), (2, 8, 8, 1)),
        "`reconstruction` must have the shape of `data`",
      ),
      (
        ((2, 8, 8, 1), (2, 8, 8, 1), (2, 9, 9, 1)),
        r"`samples` must be images \(8, 8, 1\)",
      ),
    ],
  )
  def test_wrong_shapes_are_refused(self, shapes, message):
    with pytest.raises(ValueError, match=message):
      figures.reconstructions(*(np.zeros(shape) for shape in shapes))
