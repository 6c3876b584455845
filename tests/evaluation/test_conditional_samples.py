# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Rules against real digits whose labels are known, and a judge that errs."""

import inspect

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import data
from geco_tf.data import paper_tasks
from geco_tf.evaluation import conditional_samples
from tests.evaluation import stub_conditional

_NUM = 120
_DIGITS = data.load("digits")


def _split(task):
  return data.load("digits", task=task).test


def _nearest_digit(images):
  """The label of the nearest test digit: right for digits as they are."""
  images = np.asarray(images).reshape(len(images), 1, -1)
  known = _DIGITS.test.images.reshape(1, _DIGITS.test.num_examples, -1)
  nearest = np.square(images - known).sum(axis=-1).argmin(axis=1)
  return _DIGITS.test.labels[nearest]


def _draws(task, num=_NUM, seed=0):
  split = _split(task)
  model = stub_conditional.FirstOfContext((8, 8, 1), context_shape=None)
  return conditional_samples.draw(model, split, num, seed=seed)


@pytest.mark.parametrize("task", ["sum", "sum_hard"])
def test_real_targets_are_right(task):
  draws = _draws(task)
  rule = conditional_samples.rules[task](10)
  judgement = conditional_samples.judge(
    draws.targets, draws.context_labels, rule, _nearest_digit
  )
  assert judgement.overall.share == 1.0
  assert judgement.overall.num == _NUM
  assert sum(s.num for s in judgement.per_class.values()) == _NUM


def test_rotated_targets_are_turned_back_before_they_are_labelled():
  """By quarter turns, which move pixels and do not mix them."""
  split = data.load("digits", task="rotate", task_options={"angle": 90.0}).test
  model = stub_conditional.FirstOfContext((8, 8, 1), context_shape=None)
  draws = conditional_samples.draw(model, split, _NUM, seed=0)
  rule = conditional_samples.rotate_rule(10, angle=90.0)
  judgement = conditional_samples.judge(
    draws.targets, draws.context_labels, rule, _nearest_digit
  )
  assert judgement.overall.share == 1.0
  other_way = conditional_samples.rotate_rule(10, angle=-90.0)
  judgement = conditional_samples.judge(
    draws.targets, draws.context_labels, other_way, _nearest_digit
  )
  assert judgement.overall.share < 0.8


def test_samples_are_right_as_often_as_their_labels_say():
  """The sample is I_0, so its label is l_0: right where l_1 is 0."""
  draws = _draws("sum", num=250)
  np.testing.assert_array_equal(draws.samples, draws.context[:, 0])
  right = draws.context_labels.sum(axis=1) % 10
  is_right = draws.context_labels[:, 1] == 0
  judgement = conditional_samples.judge(
    draws.samples,
    draws.context_labels,
    conditional_samples.sum_rule(10),
    _nearest_digit,
  )
  assert judgement.overall.num_right == is_right.sum() > 0
  for label, share in judgement.per_class.items():
    assert share.num == (right == label).sum()
    assert share.num_right == (is_right & (right == label)).sum()


def test_draws_are_a_function_of_the_seed():
  one, again, other = (_draws("rotate", seed=s) for s in (0, 0, 1))
  for a, b in zip(one, again, strict=True):
    np.testing.assert_array_equal(a, b)
  assert np.any(one.context_labels != other.context_labels)


def test_all_contexts_are_taken_where_there_are_fewer():
  assert len(_draws("sum", num=2_000).samples) == _DIGITS.test.num_examples


def test_every_task_with_a_context_has_a_rule_with_its_defaults():
  conditional = {
    name
    for name in paper_tasks.registry.names()
    if data.load("digits", task=name).context_shape is not None
  }
  assert set(conditional_samples.rules.names()) == conditional
  defaults = [
    inspect.signature(f).parameters["angle"].default
    for f in (conditional_samples.rotate_rule, paper_tasks.rotate)
  ]
  assert defaults[0] == defaults[1]


def test_digits_turned_back_are_what_they_were():
  """The direction is undone: up to the blur of two bilinear samplings."""
  split = _split("rotate")
  fixed = data.evaluation_batches(split, 200, num_examples=200)
  batch = next(iter(fixed.batches))
  seen = {}

  def keep(images):
    seen["images"] = np.asarray(images)
    return np.zeros(len(images), np.int32)

  rule = conditional_samples.rotate_rule(10)
  rule.found(keep, batch.images, batch.context_labels.numpy())
  known = tf.reshape(_DIGITS.test.images, [1, -1, 64])
  error = tf.reduce_mean(
    tf.square(seen["images"].reshape(200, 1, 64) - known), axis=-1
  )
  turned = tf.reduce_mean(
    tf.square(tf.reshape(batch.images, [200, 1, 64]) - known), axis=-1
  )
  back = np.min(error, axis=1).mean()
  assert back < 0.5 * np.min(turned, axis=1).mean()
