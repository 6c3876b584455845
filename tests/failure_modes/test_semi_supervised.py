# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Semi-supervised VAEs: the bound, the label's likelihood, mistakes."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors
from geco_tf.failure_modes import quadrature, semi_supervised

_METHODS = {
  "mean_field": semi_supervised.Method(),
  "structured": semi_supervised.Method(is_structured=True),
}


@pytest.fixture(scope="module")
def data():
  return np.random.default_rng(0).normal(size=[30, 2])


def _model(data, label, method):
  return semi_supervised.Model(
    data,
    label=label,
    variance=0.5,
    num_restarts=2,
    is_structured=method.is_structured,
    hidden_sizes=(4,),
    seed=0,
  )


def _log_given(model, data, label):
  """By quadrature, ln p(x|y): [R, N]."""
  return quadrature.log_evidence(
    data,
    model.decode_given(label),
    np.full(2, model.variance),
    quadrature.latent_grid(1, 0.02),
  )


def test_likelihood_of_a_label_is_quadratures(data):
  model = _model(data, "discrete", _METHODS["mean_field"])
  candidates = tf.constant([[-1.0, 1.0]] * 2)
  found = model.log_joint_label(
    tf.constant([data, data], tf.float32), candidates
  )
  for i, label in enumerate((0.0, 1.0)):
    np.testing.assert_allclose(
      found[..., i], _log_given(model, data, label), atol=0.03
    )


@pytest.mark.parametrize("label", semi_supervised.LABELS)
@pytest.mark.parametrize("name", _METHODS)
def test_unlabelled_loss_is_above_the_exact_neg_log_likelihood(
  data, label, name
):
  """Error and KL make a bound: averaged over noise, it is never below."""
  model = _model(data, label, _METHODS[name])
  loss = semi_supervised._Loss(model, 0.1)
  rows = tf.constant([data, data], tf.float32)
  noise = tf.random.stateless_normal([2, 300 * 30, 2], [0, 0])
  error, kl = loss._unlabelled(tf.tile(rows, [1, 300, 1]), noise)
  bounds = np.reshape(0.5 * error / model.variance + kl, [2, 300, 30])
  bounds = np.swapaxes(bounds, 0, 1)
  bounds = bounds + np.log(2.0 * np.pi * model.variance)
  if label == "discrete":
    labels = (0.0, 1.0)
  else:
    labels = tuple(quadrature.latent_grid(1, 0.2).points[:, 0])
  grid = np.array(labels)
  weights = np.full(2, 0.5)
  if label == "continuous":
    weights = np.exp(-0.5 * grid**2)
  weights = weights / weights.sum()
  exact = np.logaddexp.reduce(
    [
      _log_given(model, data, y) + np.log(w)
      for y, w in zip(labels, weights, strict=True)
    ]
  )
  error = bounds.std(axis=0) / np.sqrt(300)
  assert (bounds.mean(axis=0) > -exact - 6.0 * error).all()


def test_label_constraint_is_the_cross_entropy_less_kappa():
  constraint = semi_supervised.LabelErrors(0.4, 3)
  value = constraint(None, None, labels=tf.constant([[0.4, 0.5, 0.1]]))
  np.testing.assert_allclose(value.violation, [[0.0, 0.1, -0.3]], atol=1e-7)
  np.testing.assert_allclose(
    constraint.relative_violation(value.violation[0], value.bound),
    np.log([1.0, 1.25, 0.25]),
    atol=1e-6,
  )


def test_labelled_rows_are_told_apart_after_training():
  """Two clusters, one for each label, five labels known of each."""
  rng = np.random.default_rng(0)
  labels = np.tile([0.0, 1.0], 100)
  data = rng.normal(size=[200, 2]) * 0.3 + 2.0 * labels[:, np.newaxis]
  model = semi_supervised.fit(
    data,
    labels,
    semi_supervised.Method(is_constrained=True, label_kappa=0.1),
    label="discrete",
    variance=0.09,
    num_labelled=10,
    num_restarts=2,
    hidden_sizes=(8,),
    num_steps=300,
    batch_size=20,
    learning_rate=2e-2,
  )
  given = [_log_given(model, data, y) for y in (0.0, 1.0)]
  right = (given[1] > given[0]) == (labels > 0.5)
  assert right.mean(axis=1).min() > 0.98


@pytest.mark.parametrize(
  ("labels", "options", "message"),
  [
    (None, {}, "`labels` must be given to train with supervision"),
    (np.zeros(30), {"num_labelled": 31}, "`num_labelled` must be 1 to"),
    (np.zeros(30), {"label": "discreet"}, "did you mean 'discrete'"),
    (np.zeros(29), {}, "`labels` must be one for each of 30 rows"),
    (np.full(30, 2), {}, r"`labels` must be 0 or 1 in the first .* got 2"),
    (np.full(30, np.nan), {"label": "continuous"}, "NaN is no label"),
  ],
)
def test_error_when_labels_will_not_do(data, labels, options, message):
  with pytest.raises(errors.UserError, match=message):
    semi_supervised.fit(
      data,
      labels,
      _METHODS["mean_field"],
      **{
        "label": "discrete",
        "variance": 1.0,
        "num_labelled": 5,
        "num_restarts": 1,
        **options,
      },
    )
