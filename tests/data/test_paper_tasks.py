# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The paper's tasks: who is shown with whom, in which colour, and when."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from geco_tf import data, errors
from geco_tf.data import paper_tasks, rotation, sources

_N = 1_000
_NUM_CLASSES = 10
_RATE = 1e-6  # At which each statistical test may fail by chance.
_PARTNERED = ("rotate", "sum", "sum_hard", "triplets")


def _traceable(n=_N, num_classes=_NUM_CLASSES):
  """One-pixel images that show their index: train below 1/2, test above."""
  labels = np.random.RandomState(0).randint(num_classes, size=2 * n)
  values = np.arange(2 * n, dtype=np.float32) / (2 * n)
  images = values.reshape(-1, 1, 1, 1)
  train, test = (
    data.Split(images[part], labels[part].astype(np.int32))
    for part in (slice(n), slice(n, None))
  )
  return data.Source("traceable", train, test, num_classes)


_SOURCE = _traceable()
_LABELS = np.concatenate([_SOURCE.train.labels, _SOURCE.test.labels])


def _indices(pixels):
  """From what a traceable image shows to its index, over both splits."""
  return np.rint(np.asarray(pixels) * 2 * _N).astype(int)


def _make(task, source=_SOURCE, **options):
  return paper_tasks.registry[task](source, **options)


def _concatenated(batches):
  """A batch of all that there are; None stays None."""
  return data.Batch(
    *(
      None if parts[0] is None else np.concatenate(parts)
      for parts in zip(*batches, strict=True)
    )
  )


def _train(source, num_batches=10, batch_size=_N, seed=0, **kwargs):
  stream = data.training_batches(source.train, batch_size, seed=seed, **kwargs)
  return _concatenated(stream.take(num_batches))


def _evaluate(split, num_examples=None):
  return _concatenated(
    data.evaluation_batches(split, 300, num_examples=num_examples).batches
  )


def _trio(task, batch):
  """Indices of I_0, I_1 and I_2, read off the pixels."""
  images = _indices(batch.images[:, 0, 0, :])
  if task == "triplets":
    return images.T
  context = _indices(batch.context[:, :, 0, 0, 0])
  if task == "sum_hard":
    return images[:, 0], images[:, 1], context[:, 0]
  return context[:, 0], context[:, 1], images[:, 0]


@pytest.fixture(scope="module")
def ten_thousand():
  """Ten epochs of every task with partners."""
  return {task: _train(_make(task)) for task in _PARTNERED}


@pytest.mark.parametrize("task", ["sum", "sum_hard", "triplets"])
def test_labels_add_up_over_ten_thousand_draws(ten_thousand, task):
  first, second, third = (_LABELS[i] for i in _trio(task, ten_thousand[task]))
  assert len(first) == 10_000
  np.testing.assert_array_equal((first + second) % _NUM_CLASSES, third)


def test_rotated_digit_is_another_of_the_same_class(ten_thousand):
  first, _, third = _trio("rotate", ten_thousand["rotate"])
  np.testing.assert_array_equal(_LABELS[first], _LABELS[third])
  assert np.all(first != third)


@pytest.mark.parametrize("task", _PARTNERED)
def test_given_labels_are_those_of_the_images(ten_thousand, task):
  batch = ten_thousand[task]
  first, second, third = (_LABELS[i] for i in _trio(task, batch))
  if task in ("triplets", "sum_hard"):
    np.testing.assert_array_equal(batch.labels, -1)
  else:
    np.testing.assert_array_equal(batch.labels, third)
  if task == "triplets":
    assert batch.context_labels is None
  else:
    context = [third] if task == "sum_hard" else [first, second]
    np.testing.assert_array_equal(batch.context_labels, np.stack(context, 1))


@pytest.mark.parametrize("task", _PARTNERED)
def test_every_example_comes_first_once_an_epoch(ten_thousand, task):
  first = _trio(task, ten_thousand[task])[0].reshape(10, _N)
  np.testing.assert_array_equal(
    np.sort(first, axis=1), np.tile(np.arange(_N), (10, 1))
  )


@pytest.mark.statistical
@pytest.mark.parametrize("task", _PARTNERED)
def test_partners_are_uniform(ten_thousand, task):
  _, second, third = _trio(task, ten_thousand[task])
  counts = np.bincount(second, minlength=_N)
  assert stats.chisquare(counts).pvalue > _RATE
  # I_2 is uniform within its class.
  labels = _SOURCE.train.labels
  per_class = np.bincount(labels[third]) / np.bincount(labels)
  expected = per_class[labels]
  counts = np.bincount(third, minlength=_N)
  statistic = np.sum((counts - expected) ** 2 / expected)
  assert stats.chi2.sf(statistic, _N - _NUM_CLASSES) > _RATE


@pytest.mark.statistical
def test_partners_are_uncorrelated_over_places_and_epochs(ten_thousand):
  _, second, third = _trio("triplets", ten_thousand["triplets"])
  pairs = [
    (second[1:], second[:-1]),
    (third[1:], third[:-1]),
    (second[_N:], second[:-_N]),
    (second, third),
  ]
  # A correlation of n independent pairs is normal with variance 1/n.
  limit = stats.norm.isf(_RATE / 2 / len(pairs))
  for one, other in pairs:
    correlation = np.corrcoef(one, other)[0, 1]
    assert abs(correlation) * np.sqrt(len(one)) < limit


@pytest.mark.parametrize("task", [*_PARTNERED, "micro", "color"])
def test_test_split_is_made_of_test_digits_only(task):
  options = {"color": {"variant": "stacked"}}.get(task, {})
  source = _make(task, **options)
  for split, parts in ((source.train, [0]), (source.test, [1])):
    batch = _evaluate(split)
    shown = [batch.images] + ([] if batch.context is None else [batch.context])
    for images in shown:
      assert np.unique(_indices(images) // _N).tolist() == parts


@pytest.mark.parametrize("task", ["rotate", "sum_hard"])
def test_partners_in_evaluation_are_functions_of_seed_and_index(task):
  def trio(seed=0, n=None, split="train"):
    source = _make(task, seed=seed)
    return np.array(_trio(task, _evaluate(getattr(source, split), n)))

  whole = trio()
  np.testing.assert_array_equal(whole[0], np.arange(_N))
  np.testing.assert_array_equal(trio(), whole)
  some = trio(n=50)
  np.testing.assert_array_equal(some, whole[:, some[0]])
  # Another seed, or the other split, shares partners by chance alone: one of
  # a thousand; more than 12 of them at a rate of 6e-10.
  assert np.sum(trio(seed=1)[1] == whole[1]) <= 12
  assert np.sum(trio(split="test")[1] - _N == whole[1]) <= 12


def test_training_gives_new_partners_every_epoch(ten_thousand):
  first, second, _ = _trio("sum", ten_thousand["sum"])
  by_example = second[np.argsort(first, kind="stable")].reshape(_N, 10)
  # Ten draws of a thousand: three alike are rarer than 1e-4 an example.
  assert np.min([len(set(row)) for row in by_example]) >= 8


@pytest.mark.parametrize("task", [*_PARTNERED, "micro", "color"])
def test_resumed_stream_equals_tail_of_the_whole(task):
  source = _make(task)
  whole = _train(source, num_batches=9, batch_size=64)
  resumed = _train(source, num_batches=4, batch_size=64, start_step=5)
  for found, expected in zip(resumed, whole, strict=True):
    if expected is not None:
      np.testing.assert_array_equal(found, expected[5 * 64 :])


@pytest.mark.parametrize("task", ["color", "rotate", "sum_hard"])
def test_shards_concatenate_to_the_global_batch(task):
  source = _make(task)
  whole = _train(source, num_batches=1, batch_size=60, start_step=7)
  shards = [
    _train(
      source,
      num_batches=1,
      batch_size=60,
      start_step=7,
      shard_index=s,
      num_shards=3,
    )
    for s in range(3)
  ]
  for found, expected in zip(_concatenated(shards), whole, strict=True):
    np.testing.assert_array_equal(found, expected)


def test_mirrored_replicas_share_context_and_labels_in_order():
  devices = [d.name for d in tf.config.list_logical_devices("CPU")[:2]]
  if len(devices) < 2:
    pytest.skip("needs two logical CPU devices")
  strategy = tf.distribute.MirroredStrategy(devices)
  source = _make("rotate")
  iterator = iter(
    data.distributed_training_batches(
      strategy, source.train, 6, seed=3, start_step=2
    )
  )

  @tf.function
  def step():
    return strategy.run(lambda batch: tuple(batch), (next(iterator),))

  whole = _train(source, num_batches=1, batch_size=6, seed=3, start_step=2)
  for parts, expected in zip(step(), whole, strict=True):
    found = np.concatenate(strategy.experimental_local_results(parts))
    np.testing.assert_array_equal(found, expected)


def _load(task):
  return data.load("digits", task=task)


@pytest.mark.parametrize("task", paper_tasks.registry.names())
def test_batches_have_the_shapes_that_the_source_promises(task):
  source = _load(task)
  sources.check(source)
  for dataset in (
    data.training_batches(source.train, 32, seed=0),
    data.evaluation_batches(source.test, 32).batches,
  ):
    spec = dataset.element_spec
    assert spec.images.shape[1:] == source.image_shape
    batch = next(iter(dataset))
    assert (source.context_shape is None) == (batch.context is None)
    assert batch.images.dtype == tf.float32
    assert 0.0 <= np.min(batch.images) < np.max(batch.images) <= 1.0
    assert batch.labels.dtype == tf.int32
    if source.context_shape is not None:
      assert spec.context.shape[1:] == source.context_shape
      assert batch.context_labels.shape[1:] == source.context_shape[:1]
      assert batch.context_labels.dtype == tf.int32


@pytest.mark.parametrize(
  ("task", "has_labels", "channels_are_images"),
  [
    ("color", True, False),
    ("micro", True, False),
    ("rotate", True, False),
    ("sum", True, False),
    ("sum_hard", False, True),
    ("triplets", False, True),
  ],
)
def test_source_says_what_its_batches_have(
  task, has_labels, channels_are_images
):
  source = _load(task)
  assert source.channels_are_images == channels_are_images
  assert source.num_classes == (10 if has_labels else None)
  for split in (source.train, source.test):
    assert (split.labels is not None) == has_labels


def test_rotate_turns_by_thirty_degrees_for_each_of_the_label():
  source = _load("rotate")
  stored = source.test.images
  batch = _evaluate(source.test)
  # The target is among all digits of its class, turned by what it should be.
  for i in range(0, 300, 10):
    label, turns = batch.context_labels[i]
    candidates = stored[source.test.labels == label]
    degrees = np.full(len(candidates), 30.0 * turns)
    distance = np.abs(rotation.rotate(candidates, degrees) - batch.images[i])
    # Sine and cosine may differ by a rounding between kernels.
    assert np.min(np.max(distance, axis=(1, 2, 3))) < 1e-5


def test_angle_is_an_option():
  source = paper_tasks.rotate(data.load("digits"), angle=0)
  batch = _evaluate(source.test)
  stored = {image.tobytes() for image in source.test.images}
  assert all(image.tobytes() in stored for image in batch.images)


def _flat(value, n=4_000, size=2):
  split = data.Split(np.full((n, size, size, 1), value, np.float32), None)
  return data.Source("flat", split, split, num_classes=None)


def _signed(source):
  """A tinted source in the units of the formula, [-1, 1]."""
  return 2.0 * _evaluate(source.train).images - 1.0


def test_color_follows_the_formula():
  digits = data.load("digits")
  options = {"seed": 4, "color_sd": 0.3}
  # Where the image is all ones and there is no noise, x is the colour.
  ones = digits._replace(
    train=digits.train._replace(images=np.ones_like(digits.train.images))
  )
  colors = _signed(_make("color", ones, noise_sd=0, **options))[:, :1, :1]
  # Where it is all halves and the noise is small, x is C/2 - 1/2 plus noise.
  grays = digits._replace(
    train=digits.train._replace(images=np.full_like(digits.train.images, 0.5))
  )
  noise = (
    _signed(_make("color", grays, noise_sd=0.01, **options))
    - 0.5 * colors
    + 0.5
  ) / 0.01
  images = digits.train.images
  expected = np.clip(images * colors + (images - 1) + 0.2 * noise, -1, 1)
  found = _signed(_make("color", digits, **options))
  is_inside = np.broadcast_to(np.abs(colors) < 0.98, found.shape)
  # The noise was read with an error of 1e-7 / .01.
  np.testing.assert_allclose(
    found[is_inside], expected[is_inside], rtol=0, atol=2e-5
  )


@pytest.mark.statistical
def test_colors_and_noise_have_their_distributions():
  colors = _signed(_make("color", _flat(1.0), color_sd=0.2, noise_sd=0))
  assert stats.kstest(colors[:, 0, 0].ravel(), "norm", (0, 0.2)).pvalue > _RATE
  np.testing.assert_array_equal(colors[:, 0, 0], colors[:, 1, 1])
  noise = _signed(_make("color", _flat(0.5), color_sd=0, noise_sd=0.1)) + 0.5
  assert stats.kstest(noise.ravel(), "norm", (0, 0.1)).pvalue > _RATE
  pixels = noise.reshape(len(noise), -1)
  products = np.corrcoef(pixels, rowvar=False)[np.triu_indices(12, 1)]
  limit = stats.norm.isf(_RATE / 2 / len(products))
  assert np.max(np.abs(products)) * np.sqrt(len(noise)) < limit


def test_color_is_a_function_of_seed_split_and_index():
  def images(seed=0, split="train", n=None):
    source = _make("color", _flat(1.0, n=100), seed=seed)
    return _evaluate(getattr(source, split), n).images

  np.testing.assert_array_equal(images(), images())
  whole = {image.tobytes() for image in images()}
  assert len(whole) == 100
  assert {image.tobytes() for image in images(n=20)} < whole
  assert whole.isdisjoint(image.tobytes() for image in images(seed=1))
  assert whole.isdisjoint(image.tobytes() for image in images(split="test"))
  epochs = [
    _train(_make("color", _flat(1.0, n=100)), 1, 100, start_step=s).images
    for s in (0, 1)
  ]
  for epoch in epochs:
    assert {image.tobytes() for image in epoch} == whole


def test_stacked_colors_are_three_digits():
  source = _make("color", variant="stacked")
  batch = _train(source, num_batches=1)
  red, green, blue = _indices(batch.images[:, 0, 0, :]).T
  np.testing.assert_array_equal(np.sort(red), np.arange(_N))
  for one, other in ((red, green), (red, blue), (green, blue)):
    assert np.mean(one == other) < 0.02
  np.testing.assert_array_equal(batch.labels, -1)


def test_stacked_colors_need_no_labels():
  source = _make("color", _flat(1.0, n=9), variant="stacked")
  np.testing.assert_array_equal(_evaluate(source.test).images, 1.0)


def test_micro_keeps_seven_that_fill_any_batch():
  source = _make("micro")
  assert source.train.num_examples == source.test.num_examples == 7
  seen = _indices(_train(source, num_batches=7, batch_size=64).images).ravel()
  epochs = np.sort(seen.reshape(64, 7), axis=1)
  assert len(np.unique(epochs, axis=0)) == 1
  assert len(set(epochs[0])) == 7
  other = _indices(_make("micro", seed=1).train.images).ravel()
  assert set(other) != set(epochs[0])
  assert _make("micro", size=20).train.num_examples == 20


def test_task_of_the_users_own_gets_seed_and_options(monkeypatch):
  builders = dict(data.task_registry._builders)
  monkeypatch.setattr(data.task_registry, "_builders", builders)

  def first(source, *, seed, count=3):
    assert seed == 5
    train = sources.take(source.train, np.arange(count))
    return source._replace(train=train)

  data.register_task("first", first)
  source = data.load("digits", task="first", task_options={"count": 4}, seed=5)
  assert source.train.num_examples == 4


@pytest.mark.parametrize(
  ("kwargs", "message"),
  [
    ({"task": "sums"}, "Unknown task 'sums'; did you mean 'sum"),
    (
      {"task": "rotate", "task_options": {"angel": 3}},
      "Unknown option of the task 'rotate' 'angel'; did you mean 'angle'",
    ),
    (
      {"task": "rotate", "task_options": {"source": 3}},
      "Unknown option of the task 'rotate' 'source'",
    ),
    (
      {"task_options": {"angle": 3}},
      "`task_options` need a task; got angle without one",
    ),
    (
      {"task": "rotate", "task_options": {"angle": "x"}},
      "`angle` must be a number; got 'x'",
    ),
    (
      {"task": "rotate", "task_options": {"angle": np.inf}},
      "`angle` must be a number; got inf",
    ),
    (
      {"task": "color", "task_options": {"noise_sd": -1}},
      "`noise_sd` must be a number from 0 on; got -1",
    ),
    (
      {"task": "color", "task_options": {"variant": "stack"}},
      "Unknown variant of color 'stack'; did you mean 'stacked'",
    ),
    (
      {"task": "micro", "task_options": {"size": 0}},
      "`size` must be a positive whole number; got 0",
    ),
    (
      {"task": "micro", "task_options": {"size": 301}},
      "`size` must be at most 300, .* 'digits' have; got 301",
    ),
    ({"seed": -1}, "`seed` must be a whole number .* got -1"),
    (
      {"task": "sum", "task_options": {"seed": "x"}},
      "`seed` must be a whole number .* got 'x'",
    ),
  ],
)
def test_bad_option_is_named(kwargs, message):
  with pytest.raises(errors.UserError, match=message):
    data.load("digits", **kwargs)


def _relabelled(labels):
  labels = np.array(labels, np.int32)
  images = np.zeros((len(labels), 2, 2, 1), np.uint8)
  test = data.Split(images, labels)
  return _SOURCE._replace(name="made", test=test)


@pytest.mark.parametrize("task", _PARTNERED)
def test_source_without_labels_is_named(task):
  message = f"The task '{task}' needs labels; 'flat' has none"
  with pytest.raises(errors.UserError, match=message):
    _make(task, _flat(1.0, n=9))


@pytest.mark.parametrize("task", [*_PARTNERED, "color"])
def test_colour_images_are_named(task):
  split = data.Split(np.zeros((4, 2, 2, 3), np.uint8), np.zeros(4, np.int32))
  source = data.Source("photos", split, split, num_classes=1)
  message = f"'{task}' needs images of one channel; those of 'photos' have 3"
  with pytest.raises(errors.UserError, match=message):
    _make(task, source)


@pytest.mark.parametrize("task", ["sum", "sum_hard", "triplets"])
def test_missing_class_is_named(task):
  message = (
    f"'{task}' needs every class that two labels can add up to, modulo 10; the "
    f"test split of 'made' has none of class 6"
  )
  with pytest.raises(errors.UserError, match=message):
    _make(task, _relabelled([0, 2, 4, 8]))


def test_classes_that_no_sum_lands_on_may_be_missing():
  source = _make("sum", _relabelled([0, 2, 4, 6, 8]))
  batch = _evaluate(source.test)
  assert set(batch.labels) <= {0, 2, 4, 6, 8}


def test_class_of_one_example_is_named():
  message = (
    "'rotate' needs two examples of every class; the test split of 'made' has "
    "one of class 3"
  )
  with pytest.raises(errors.UserError, match=message):
    _make("rotate", _relabelled([1, 1, 3, 4, 4]))


def test_task_over_a_task_is_named():
  message = "'sum' needs images as they are stored; those of 'digits' have a"
  with pytest.raises(errors.UserError, match=message):
    _make("sum", _make("rotate", data.load("digits")))
