# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Curves with a known illness get its name, and healthy ones get none."""

import json
import math
import pathlib

import numpy as np
import pytest

from geco_tf import runs
from geco_tf.evaluation import doctor
from geco_tf.evaluation.doctor import multipliers, outlook, tolerances, traces

_RESULTS = pathlib.Path(__file__).parents[3] / "docs" / "results"
_STEPS = np.arange(100.0, 5_001.0, 100.0)
_NOISE = 0.004  # Of ln RMSE and ln λ: what windows of 100 steps leave.


def _config(**changes):
  return runs.Config(num_steps=5_000, kappa=0.1).replace(**changes)


def _rows(multiplier, rmse, *, kl=30.0, kappa=0.1, noise=0.0, **more):
  """Rows of a run with re; arguments are numbers or curves."""
  generator = np.random.default_rng(0)
  curves = {
    "geco/re/multiplier": multiplier * np.ones_like(_STEPS),
    "rmse": rmse * np.ones_like(_STEPS),
    "kl": kl * np.ones_like(_STEPS),
  }
  for curve in curves.values():
    curve *= np.exp(noise * generator.standard_normal(len(_STEPS)))
  curves["geco/re/constraint"] = 784 * (curves["rmse"] ** 2 - kappa**2)
  curves["geco/re/satisfied"] = 1.0 * (curves["rmse"] <= 1.03 * kappa)
  for name, values in more.items():
    curves[name.replace("__", "/")] = values * np.ones_like(_STEPS)
  return [
    {"step": step, **{k: float(v[i]) for k, v in curves.items()}}
    for i, step in enumerate(_STEPS)
  ]


def _approach(start, end, time):
  """From one value to the other, in the logarithm."""
  return end * (start / end) ** np.exp(-_STEPS / time)


def _kinds(diagnosis):
  return [found.kind for found in diagnosis.findings]


def _climb(exponent=0.8):
  """λ as `auto` lets it climb where the constraint is never met."""
  return 40.0 * (_STEPS / 5_000.0) ** exponent


def _at_floor(floor):
  """MSE of water-filling over noise that no code can tell."""
  return np.sqrt(floor**2 + 0.1 / (784 * 2 * _climb() / 40.0))


def _waterfilling(dims):
  return np.sqrt(dims / (784 * 2 * _climb()))


_ILL = {
  "infeasible": {"multiplier": _climb(), "rmse": _at_floor(0.12)},
  "slow": {"multiplier": 3.0 * (_STEPS / 5e3) ** 0.3, "rmse": np.sqrt(
    150 / (784 * 2 * 3.0 * (_STEPS / 5e3) ** 0.3))},
  "moving": {"multiplier": _climb(), "rmse": _waterfilling(900.0)},
  "stuck": {"multiplier": 7.0, "rmse": 0.15},
  "generous": {"multiplier": _approach(9.0, 4.0, 4e3), "rmse": 0.09},
  "overflow": {"multiplier": np.where(_STEPS > 400, np.inf, 1e9), "rmse": 0.2},
  "speed": {"multiplier": np.exp(0.05 * np.minimum(_STEPS, 500)), "rmse": 0.1},
  "wind_up": {
    "multiplier": 5.0 + 60.0 * np.exp(-((_STEPS / 1e3 - 1.5) ** 2)), "rmse": 0.1
  },
  "oscillation": {
    "multiplier": 6.0 * np.exp(0.5 * np.sin(_STEPS / 100.0)),
    "rmse": 0.1 + 0.01 * np.cos(_STEPS / 100.0),
  },
  "slack": {"multiplier": _approach(5.0, 0.1, 1e3), "rmse": 0.09, "kl": 1e-3},
  "collapse": {"multiplier": 1.0, "rmse": 0.26, "kl": 1e-3},
  "skipped": {"multiplier": 5.0, "rmse": 0.1, "geco__re__skipped": 0.3},
  "diverged": {
    "multiplier": 5.0, "rmse": np.where(_STEPS > 3_000, np.nan, 0.1)
  },
}  # fmt: skip


@pytest.mark.parametrize("noise", [0.0, _NOISE])
@pytest.mark.parametrize("kind", _ILL)
def test_illness_is_named_and_a_flag_proposed(kind, noise):
  diagnosis = doctor.examine(_rows(**_ILL[kind], noise=noise), _config())
  (found,) = (f for f in diagnosis.findings if f.severity == doctor.PROBLEM)
  assert found.kind == kind
  assert found.change
  assert not diagnosis.is_healthy
  assert diagnosis.line.startswith(found.sentence)
  assert "\n" not in diagnosis.line
  assert found.change in doctor.describe(diagnosis)


_WELL = {
  "steady": {"multiplier": 8.2, "rmse": 0.0983},
  "settled": {
    "multiplier": _approach(3.0, 8.0, 700),
    "rmse": _approach(0.3, 0.1, 500),
  },
  "overshoot within bounds": {
    "multiplier": 6.0 * (1 + 1.5 * np.exp(-((_STEPS / 1e3 - 1.5) ** 2))),
    "rmse": _approach(0.3, 0.1, 500),
  },
}


@pytest.mark.parametrize("noise", [0.0, _NOISE])
@pytest.mark.parametrize("kind", _WELL)
def test_healthy_run_gets_a_clean_bill(kind, noise):
  rows = _rows(**_WELL[kind], noise=noise)
  diagnosis = doctor.examine(rows, _config())
  assert diagnosis.findings == ()
  assert diagnosis.line.startswith("re holds: RMSE 0.")
  for count in range(1, len(rows) + 1):
    assert doctor.warnings(rows[:count], _config()) == []


def _hopeless(
  scale, exponent, limit, coded, *, noise=0.0, drift=0.0, **changes
):
  """Of a run whose MSE is κ² + limit + coded/λ, each at its last step."""
  share = _STEPS / 5e3
  multiplier = scale * share**exponent
  mse = 0.01 + limit * share**-drift + coded * share**-exponent
  mse += noise * (-1.0) ** np.arange(len(_STEPS))
  rows = _rows(multiplier, np.sqrt(mse))
  run = traces.read(rows, _config(**changes))
  return outlook.outlook(run, run.tracks[0]).is_hopeless


@pytest.mark.parametrize(
  ("trace", "changes", "expected"),
  [
    # λ climbs in vain: its rise is too small to judge by the limit.
    ((10.0, 0.3, 4e-3, 1e-4), {}, True),
    ((10.0, 0.3, 4e-3, 8e-3), {}, False),
    # The same beyond 1/2κ² = 50, in units where that means something.
    ((100.0, 0.3, 4e-3, 8e-3), {}, True),
    ((100.0, 0.3, 4e-3, 8e-3), {"reduction": "mean"}, False),
    # λ rises enough, and the limit stays or moves.
    ((10.0, 0.8, 4e-3, 8e-3), {}, True),
    ((10.0, 0.8, 4e-3, 8e-3), {"drift": 0.7}, False),
    # A limit within three standard errors of 0 is none.
    ((100.0, 0.8, 4e-4, 8e-3), {"noise": 1e-6}, True),
    ((100.0, 0.8, 4e-4, 8e-3), {"noise": 1e-3}, False),
  ],
)
def test_each_sign_of_a_tolerance_out_of_reach_counts_alone(
  trace, changes, expected
):
  assert _hopeless(*trace, **changes) is expected


def test_line_of_a_healthy_run_has_level_tolerance_and_multiplier():
  rows = _rows(8.2, 0.0983)
  assert doctor.examine(rows, _config()).line == (
    "re holds: RMSE 0.0983 for κ = 0.1, λ 8.2 steady."
  )


def test_infeasible_tolerance_is_told_with_limit_and_a_kappa_in_reach():
  """The noise is .12; an RMSE of a little more was reached."""
  (found,) = doctor.examine(
    _rows(multiplier=_climb(), rmse=_at_floor(0.12)), _config()
  ).findings
  np.testing.assert_allclose(found.numbers["limit"], 0.12, rtol=1e-6)
  np.testing.assert_allclose(found.numbers["best"], 0.12026, rtol=1e-4)
  # 3 % above the best one, to two digits.
  assert found.change.startswith("--kappa=0.13,")
  assert "no code can foresee" not in found.sentence
  noisy = doctor.examine(
    _rows(multiplier=_climb(), rmse=_at_floor(0.12)), _config(task="color")
  )
  assert "noise on every pixel, which no code can foresee" in noisy.line


def test_steps_to_go_are_those_of_the_trend():
  """Water-filling of 900 dimensions: κ = .1 at λ = 900 / (784 · 2 · .01)."""
  config = _config()
  (found,) = doctor.examine(
    _rows(multiplier=_climb(), rmse=_waterfilling(900.0)), config
  ).findings
  needed = 900 / (784 * 2 * 0.01)
  expected = 5_000 * (needed / 40.0) ** (1 / 0.8)
  assert found.numbers["num_steps"] == pytest.approx(expected, rel=0.05)
  assert found.numbers["num_steps"] >= expected
  # While it goes on it is a note, and no flag has to change before its end.
  longer = config.replace(num_steps=50_000)
  early = doctor.examine(
    _rows(multiplier=_climb(), rmse=_waterfilling(900.0)), longer
  )
  assert early.is_healthy
  assert early.line.startswith("at step 5,000 of 50,000: re is on its way")
  assert early.findings[0].change == ""


@pytest.mark.parametrize(
  ("rule", "own", "expected"),
  [
    ("auto", (), "--update_rule=auto,update_every=3"),
    (
      "auto,update_every=4,lowest=1", (),
      "--update_rule=auto,update_every=12,lowest=1",
    ),
    (
      "exponential:0.3,highest=1e9", (),
      "--update_rule=exponential:0.1,highest=1000000000.0 "
      "or --update_rule=auto",
    ),
    (
      "auto", ("re=log_ratio:0.3",),
      "--constraint_rule=re=log_ratio:0.1 or --constraint_rule=re=auto",
    ),
  ],
)  # fmt: skip
def test_flag_is_that_of_the_constraints_own_rule(rule, own, expected):
  config = _config(update_rule=rule, constraint_rule=own)
  diagnosis = doctor.examine(_rows(**_ILL["oscillation"]), config)
  assert diagnosis.findings[0].change == expected


@pytest.mark.parametrize("start", [4.0, 0.0])
def test_multiplier_that_goes_to_or_leaves_zero_is_not_too_fast(start):
  """As that of an augmented Lagrangian does where κ holds by itself."""
  way = np.minimum(_STEPS / 2_000.0, 1.0)
  multiplier = start + (4.0 - 2.0 * start) * way
  diagnosis = doctor.examine(
    _rows(multiplier=multiplier, rmse=0.08),
    _config(update_rule="augmented_lagrangian:1e-2"),
  )
  assert not {"speed", "oscillation", "wind_up"} & set(_kinds(diagnosis))


def test_bound_that_is_proposed_leaves_the_rules_other_options():
  config = _config(update_rule="auto,freeze_steps=9,highest=1e9")
  diagnosis = doctor.examine(_rows(**_ILL["wind_up"]), config)
  change = diagnosis.findings[0].change
  assert change.startswith("--update_rule=auto,freeze_steps=9,highest=")
  assert "1e9" not in change


def test_warning_waits_for_a_third_of_the_run_but_not_for_overflow():
  rows = _rows(**_ILL["speed"])
  first = next(
    row["step"]
    for i, row in enumerate(rows)
    if doctor.warnings(rows[: i + 1], _config())
  )
  assert first == 1_700
  rows = _rows(**_ILL["overflow"])
  (found,) = doctor.warnings(rows[:5], _config())
  assert found.kind == "overflow" and found.numbers["step"] == 500


def _pair(**second):
  """A run of re and kl; the arguments are those of kl."""
  rows = _rows(multiplier=_climb(), rmse=_at_floor(0.12))
  for i, row in enumerate(rows):
    for key, values in second.items():
      row[f"geco/kl/{key}"] = float((values * np.ones_like(_STEPS))[i])
  return rows


_PAIR = _config(kappa=None, constraint=("re:0.1", "kl:20"))


def test_two_that_climb_and_do_not_arrive_exclude_each_other():
  rows = _pair(multiplier=_climb(), constraint=10.0, satisfied=0.0)
  diagnosis = doctor.examine(rows, _PAIR)
  assert _kinds(diagnosis) == ["contradiction"]
  (found,) = diagnosis.findings
  assert "re and kl exclude each other" in found.sentence
  assert found.change == "--constraint=re:0.13 or --constraint=kl:31"


def test_one_that_climbs_beside_one_at_rest_is_infeasible_alone():
  rows = _pair(multiplier=1.0, constraint=0.0, satisfied=1.0)
  diagnosis = doctor.examine(rows, _PAIR)
  assert _kinds(diagnosis) == ["infeasible"]
  assert diagnosis.findings[0].change.startswith("--constraint=re:0.13,")


def test_one_that_another_implies_is_a_note():
  falling = np.exp(-_STEPS / 400.0)
  rows = _pair(multiplier=falling, constraint=-5.0, satisfied=1.0)
  for row in rows:
    row["geco/re/multiplier"], row["rmse"] = 4.0, 0.1
  diagnosis = doctor.examine(rows, _PAIR)
  assert diagnosis.is_healthy
  assert [f.kind for f in diagnosis.findings] == ["slack"]
  assert diagnosis.findings[0].change == "--constraint=kl:12"


def test_constraint_that_was_never_finite_is_told_by_its_lost_steps():
  rows = _pair(multiplier=1.0, constraint=math.nan, satisfied=0.0, skipped=1.0)
  for row in rows:
    row["geco/re/multiplier"], row["rmse"] = 4.0, 0.1
  diagnosis = doctor.examine(rows, _PAIR)
  assert diagnosis.findings[0].kind == "skipped"
  assert diagnosis.findings[0].numbers == {"share": 1.0}
  assert "The constraint kl was not finite in 100 %" in diagnosis.line


def test_worst_entry_of_a_vector_is_named():
  config = _config(kappa=None, constraint=("re:0.1,per=class",))
  rows = _rows(
    multiplier=5.0,
    rmse=0.1,
    geco__re__multiplier_max=6.0,
    geco__re__moving_average_max=0.9,
  )
  summary = {"level": {"re": [0.1, None, 0.12, 0.1]}, "rmse": 0.1}
  diagnosis = doctor.examine(rows, config, summary)
  assert _kinds(diagnosis) == ["stuck"]
  assert "re is violated (class 2): RMSE 0.12 for κ = 0.1" in diagnosis.line
  change = diagnosis.findings[0].change
  assert change.endswith(", or --constraint=re:0.13,per=class")
  summary["level"]["re"][2] = 0.102
  diagnosis = doctor.examine(rows, config, summary)
  assert diagnosis.findings == ()


@pytest.mark.parametrize(
  ("spec", "violation", "expected"),
  [
    ("kl:5", 0.1, "kl holds: KL 5.1 for κ = 5"),
    ("kl:5", 0.3, "kl is violated: KL 5.3"),
    ("cla:0.9", 0.002, "cla holds: accuracy 0.898 for κ = 0.9"),
    ("cla:0.9", 0.1, "cla is violated: accuracy 0.8"),
    ("pncc:0.7", -0.005, "pncc holds: correlation 0.705 for κ = 0.7"),
    ("pncc:0.7", 0.1, "pncc is violated: correlation 0.6"),
    ("pncc:0.7", -0.1, "pncc is better than asked: correlation 0.8"),
    ("lipschitz:2", 0.2, "lipschitz holds: slope 2.05 for κ = 2"),
    ("nll:4", 1.0, "nll is violated"),
    ("fre:0.1", 1.0, "fre is violated"),
    ("fair:0.1", 1.0, "fair is violated"),
    ("re:0.1,per=region", 1.0, "re is violated"),
    ("kl:5,name=rate", 0.1, "rate holds: KL 5.1 for κ = 5"),
  ],
)
def test_every_constraint_is_read_in_its_own_units(spec, violation, expected):
  """The slack is 3 % of κ, or of what a correlation leaves to 1."""
  call = runs.specs.parse_call(spec)
  name = call.options.get("name", call.name)
  rows = [
    {
      "step": step,
      "rmse": 0.2,
      "kl": 9.0,
      f"geco/{name}/multiplier": 3.0,
      f"geco/{name}/constraint": violation,
      f"geco/{name}/satisfied": float(violation <= 0.0),
      **(
        {
          f"geco/{name}/multiplier_max": 3.0,
          f"geco/{name}/moving_average_max": violation,
        }
        if "per" in spec
        else {}
      ),
    }
    for step in _STEPS
  ]
  config = _config(kappa=None, constraint=(spec,))
  assert doctor.examine(rows, config).line.startswith(expected)


def test_level_of_a_users_constraint_is_no_kappa():
  rows = _pair(multiplier=3.0, constraint=0.126, satisfied=0.0)
  rows = [
    {k.replace("/kl/", "/fair/"): v for k, v in r.items() if "/re/" not in k}
    for r in rows
  ]
  config = _config(kappa=None, constraint=("fair:0.2",))
  diagnosis = doctor.examine(rows, config, {"level": {"fair": 0.126}})
  assert diagnosis.line.startswith("fair is violated, and λ stands still")
  assert "--constraint" not in diagnosis.line


def test_run_without_constraint_is_examined_for_collapse_and_sigma():
  config = _config(kappa=None, objective="learned_sigma_elbo")
  row = {"rmse": 0.1, "kl": 20.0, "sigma": 0.1}
  rows = [{"step": step, **row} for step in _STEPS]
  well = doctor.examine(rows, config)
  assert well.findings == () and "no constraint to examine" in well.line
  for change, kind in (({"kl": 0.01}, "collapse"), ({"sigma": 1e-3}, "sigma")):
    ill = [{**r, **change} for r in rows]
    assert _kinds(doctor.examine(ill, config)) == [kind]


def test_short_runs_get_no_more_than_they_can_tell():
  assert "nothing to examine" in doctor.examine([], _config()).line
  rows = _rows(5.0, 0.2)
  for count in range(1, tolerances.LEAST_ROWS):
    config = _config(num_steps=100 * count)
    assert _kinds(doctor.examine(rows[:count], config)) == ["too_short"]
    going_on = doctor.examine(rows[:count], _config())
    assert going_on.is_healthy
  held = doctor.examine(_rows(5.0, 0.1)[:1], _config(num_steps=100))
  assert held.findings == ()


@pytest.mark.parametrize("missing", [None, math.nan])
def test_row_without_a_value_is_not_finite(missing):
  column = traces.column([{"a": 1.0}, {"a": missing}, {}], "a")
  np.testing.assert_array_equal(column, [1.0, math.nan, math.nan])


def test_line_has_the_errors_of_least_squares():
  """Against the covariance of NumPy's fit."""
  generator = np.random.default_rng(1)
  x = np.linspace(1.0, 3.0, 20)
  y = 2.0 - 0.5 * x + 0.1 * generator.standard_normal(20)
  line = outlook.fit(x, y)
  (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)
  np.testing.assert_allclose(line[:2], [slope, intercept], rtol=1e-10)
  np.testing.assert_allclose(line[2:], np.sqrt(np.diag(covariance)), rtol=1e-10)


@pytest.mark.parametrize(
  ("values", "expected"),
  [
    ([0, 1, 2, 3], []),
    ([0, 2, 0, 2, 0], [1, 2, 3]),
    ([0, 2, 1.9, 2.1, 0], [3]),
    ([3, 0, 0.5, -1, 2], [3]),
    ([1], []),
  ],
)
def test_turning_points_leave_small_ones_out(values, expected):
  assert multipliers.turning_points(np.array(values, float), 1.0) == expected


def _published(name):
  """Rows, config and summary of a run in docs/results."""
  content = json.loads((_RESULTS / f"{name}.json").read_text())
  curve, summary = content["curve"], content["summary"]
  rows = [
    dict(zip(curve, values, strict=True))
    for values in zip(*curve.values(), strict=True)
  ]
  config = _config(num_steps=summary["num_steps"], kappa=summary["kappa"])
  if "exponential" in name:
    config = config.replace(update_rule="exponential:3e-5")
  return rows, config, summary


_AUTO = [f"mnist_auto_{k}" for k in (0.06, 0.08, 0.1, 0.125, 0.175)]


@pytest.mark.parametrize(
  "name",
  [
    *_AUTO, "conv_draw_color_geco", "conv_draw_mnist_geco",
    "conv_draw_sum", "conv_draw_sum_hard", "conv_draw_rotate",
  ],
)  # fmt: skip
def test_published_healthy_run_is_never_warned_of(name):
  rows, config, summary = _published(name)
  assert doctor.examine(rows, config, summary).is_healthy
  for count in range(1, len(rows) + 1):
    assert doctor.warnings(rows[:count], config) == []


@pytest.mark.parametrize(
  ("name", "kind"),
  [
    ("mnist_exponential_0.06", "slow"),
    ("mnist_exponential_0.08", "moving"),
    ("mnist_exponential_0.1", "moving"),
    ("mnist_exponential_0.125", "generous"),
    ("mnist_exponential_0.175", "generous"),
    ("mnist_exponential_search_3e-05", "moving"),
    ("mnist_exponential_search_0.0001", "generous"),
    ("mnist_exponential_search_0.0003", "wind_up"),
    ("mnist_exponential_search_0.001", "speed"),
    ("mnist_exponential_search_0.003", "overflow"),
  ],
)
def test_published_run_of_a_rate_that_was_not_right_is_explained(name, kind):
  rows, config, summary = _published(name)
  diagnosis = doctor.examine(rows, config, summary)
  assert _kinds(diagnosis) == [kind]
  assert "--update_rule=auto" in diagnosis.findings[0].change
