# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The paper's tasks on digits: functions from one source to another.

Nothing is stored but the digits: partners are drawn inside the input pipeline,
by label and from the same split, so that what is tested is made of test digits
only. An example gets new partners whenever training comes to it, and always the
same in evaluation.

The image at an index is I_0, its label l_0. Labels are added modulo the number
of classes, which is ten for digits.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf import registry as registry_lib
from geco_tf.data import counter_random, digit_index, rotation, sources, views
from geco_tf.data.batch import Batch
from geco_tf.data.digit_index import DigitIndex

# Keep numbers of the same seed apart.
_PARTNERS, _COLORS = 0, 1
_VARIANTS = ("stacked", "tinted")

# (digits, indices [B], partner_keys [B]) -> the batch.
_Show: TypeAlias = Callable[[DigitIndex, tf.Tensor, tf.Tensor], Batch]


def color(
  source: sources.Source,
  *,
  seed: int = 0,
  variant: str = "tinted",
  color_sd: float = 0.5,
  noise_sd: float = 0.2,
) -> sources.Source:
  """Color-MNIST: every digit in a colour of its own, on noise.

  x = clip(I·C + (I − 1) + N(0, noise_sd²), −1, 1), shown as (x + 1)/2. The
  colour C ~ N(0, color_sd² I₃) and the noise are functions of seed and index.

  The variant "stacked" has neither: I_0 is the red channel, any two examples
  are the green and the blue one, and there are no labels.

  Args:
    source: images of one channel.
    seed: of colours and noise, and of the partners in evaluation.
    variant: "tinted" or "stacked".
    color_sd: standard deviation of C, in units of x.
    noise_sd: standard deviation of the noise in units of x, which are two for
      one of a pixel in [0, 1].

  Returns:
    The source of images [H, W, 3].

  Raises:
    UserError: if an option is out of its range, or images have other channels.

  Source: Metz et al. 2017, "Unrolled generative adversarial networks".
  """
  if variant not in _VARIANTS:
    raise errors.unknown_name("variant of color", variant, _VARIANTS)
  _check_number("color_sd", color_sd, least=0.0)
  _check_number("noise_sd", noise_sd, least=0.0)
  _check_digits(source, "color")
  if variant == "stacked":
    return _show_as(source, _show_stacked, seed=seed, channels=3, labels=False)

  def tinted(split: sources.Split, number: int) -> sources.Split:
    key = counter_random.fold(seed, number, _COLORS)

    def change(batch: Batch, indices: tf.Tensor) -> Batch:
      keys = counter_random.words(key, indices)
      images = _tint(batch.images, keys, color_sd=color_sd, noise_sd=noise_sd)
      return batch._replace(images=images)

    view = views.changed(sources.view_of(split), change)
    shape = (*view.image_shape[:2], 3)
    return split._replace(view=view._replace(image_shape=shape))

  return sources.map_splits(source, tinted)


def triplets(source: sources.Source, *, seed: int = 0) -> sources.Source:
  """MNIST-triplets: I_0, I_1 and I_2 as three channels, l_2 = l_0 + l_1.

  I_1 is any example, I_2 any one of its class. The joint distribution is to be
  modelled: there is no context, and no label.

  Args:
    source: labelled images of one channel.
    seed: of the partners in evaluation.

  Returns:
    The source of images [H, W, 3].

  Raises:
    UserError: if there are no labels, images have other channels, or a class
      that a sum can land on has no examples.
  """
  _check_sums(source, "triplets")
  return _show_as(
    source,
    _show_triplets,
    seed=seed,
    channels=3,
    channels_are_images=True,
    labels=False,
  )


def sum_digits(source: sources.Source, *, seed: int = 0) -> sources.Source:
  """MNIST-sum: given I_0 and I_1, an I_2 with l_2 = l_0 + l_1.

  I_1 is any example, I_2 any one of its class; the label is l_2.

  Args:
    source: labelled images of one channel.
    seed: of the partners in evaluation.

  Returns:
    The source of images [H, W, 1] with a context of two.

  Raises:
    UserError: as `triplets`.
  """
  _check_sums(source, "sum")
  return _show_as(source, _show_sum, seed=seed, num_context=2)


def sum_hard(source: sources.Source, *, seed: int = 0) -> sources.Source:
  """MNIST-sum-hard: given I_2, an I_0 and an I_1 with l_0 + l_1 = l_2.

  I_1 is any example, I_2 any one of its class. I_0 and I_1 are two channels of
  one image, which has no label.

  Args:
    source: labelled images of one channel.
    seed: of the partners in evaluation.

  Returns:
    The source of images [H, W, 2] with a context of one.

  Raises:
    UserError: as `triplets`.
  """
  _check_sums(source, "sum_hard")
  return _show_as(
    source,
    _show_sum_hard,
    seed=seed,
    channels=2,
    num_context=1,
    channels_are_images=True,
    labels=False,
  )


def rotate(
  source: sources.Source, *, seed: int = 0, angle: float = 30.0
) -> sources.Source:
  """MNIST-rotate: given I_0 and I_1, another I_2 of class l_0, turned by l_1.

  I_1 is any example, I_2 any one of class l_0 but I_0 itself, turned about its
  centre by l_1 · angle, counter-clockwise (`rotation.rotate`). The label is
  l_0.

  Args:
    source: labelled images of one channel.
    seed: of the partners in evaluation.
    angle: in degrees.

  Returns:
    The source of images [H, W, 1] with a context of two.

  Raises:
    UserError: if there are no labels, images have other channels, a class has
      a single example, or the angle is not a number.
  """
  _check_number("angle", angle)
  _check_pairs(source, "rotate")

  def show(
    digits: DigitIndex, indices: tf.Tensor, partner_keys: tf.Tensor
  ) -> Batch:
    words = _words(partner_keys, 2)
    second = digits.draw(words[:, 0])
    third = digits.draw_another(indices, words[:, 1])
    degrees = angle * tf.cast(digits.labels_at(second), tf.float32)
    return _given(
      digits,
      [indices, second],
      images=rotation.rotate(digits.images_at(third), degrees),
      labels=digits.labels_at(third),
    )

  return _show_as(source, show, seed=seed, num_context=2)


def micro(
  source: sources.Source, *, seed: int = 0, size: int = 7
) -> sources.Source:
  """Micro-MNIST: a few examples of each split, drawn at random.

  A batch may hold more examples than there are: as ever, the training stream
  is one permutation of them after the other.

  Args:
    source: of any kind.
    seed: of the draw.
    size: how many examples to keep of each split.

  Returns:
    The source with `size` examples in each split.

  Raises:
    UserError: if `size` is not positive, or more than a split has.
  """
  if not isinstance(size, int) or size < 1:
    raise errors.UserError(
      f"`size` must be a positive whole number; got {size!r}."
    )
  _check_stored(source, "micro")
  smallest = min(source.train.num_examples, source.test.num_examples)
  if size > smallest:
    raise errors.UserError(
      f"`size` must be at most {smallest}, as many examples as both splits of "
      f"{source.name!r} have; got {size}."
    )

  def some(split: sources.Split, number: int) -> sources.Split:
    # RandomState's stream never changes between versions of NumPy.
    random = np.random.RandomState([seed >> 32, seed % 2**32, number])
    indices = random.permutation(split.num_examples)[:size]
    return sources.take(split, indices)._replace(repeats=True)

  return sources.map_splits(source, some)


registry = registry_lib.Registry("task")
register = registry.register

register("color", color)
register("micro", micro)
register("rotate", rotate)
register("sum", sum_digits)
register("sum_hard", sum_hard)
register("triplets", triplets)


def _show_stacked(
  digits: DigitIndex, indices: tf.Tensor, partner_keys: tf.Tensor
) -> Batch:
  words = _words(partner_keys, 2)
  return _joint(
    digits, [indices, digits.draw(words[:, 0]), digits.draw(words[:, 1])]
  )


def _show_triplets(
  digits: DigitIndex, indices: tf.Tensor, partner_keys: tf.Tensor
) -> Batch:
  return _joint(digits, _sum_triplet(digits, indices, partner_keys))


def _show_sum(
  digits: DigitIndex, indices: tf.Tensor, partner_keys: tf.Tensor
) -> Batch:
  first, second, third = _sum_triplet(digits, indices, partner_keys)
  return _given(
    digits,
    [first, second],
    images=digits.images_at(third),
    labels=digits.labels_at(third),
  )


def _show_sum_hard(
  digits: DigitIndex, indices: tf.Tensor, partner_keys: tf.Tensor
) -> Batch:
  first, second, third = _sum_triplet(digits, indices, partner_keys)
  images, labels, *_ = _joint(digits, [first, second])
  return _given(digits, [third], images=images, labels=labels)


def _sum_triplet(
  digits: DigitIndex, indices: tf.Tensor, partner_keys: tf.Tensor
) -> list[tf.Tensor]:
  """Indices [B] of I_0, I_1 and I_2, l_2 = l_0 + l_1."""
  words = _words(partner_keys, 2)
  second = digits.draw(words[:, 0])
  total = digits.labels_at(indices) + digits.labels_at(second)
  third = digits.draw_from(total % digits.counts.shape[0], words[:, 1])
  return [indices, second, third]


def _words(partner_keys: tf.Tensor, count: int) -> tf.Tensor:
  """`count` words for each key: [B, count]."""
  return counter_random.words(partner_keys[:, tf.newaxis], tf.range(count))


def _joint(digits: DigitIndex, indices: list[tf.Tensor]) -> Batch:
  """Digits as the channels of one image, which has no single label."""
  return Batch(
    images=tf.concat([digits.images_at(i) for i in indices], axis=-1),
    labels=tf.fill(tf.shape(indices[0]), -1),
  )


def _given(
  digits: DigitIndex,
  context: list[tf.Tensor],
  *,
  images: tf.Tensor,
  labels: tf.Tensor,
) -> Batch:
  """Images and labels, with digits for a context."""
  return Batch(
    images=images,
    labels=labels,
    context=tf.stack([digits.images_at(i) for i in context], axis=1),
    context_labels=tf.stack([digits.labels_at(i) for i in context], axis=1),
  )


def _tint(
  images: tf.Tensor, keys: tf.Tensor, *, color_sd: float, noise_sd: float
) -> tf.Tensor:
  """Gray images [B, H, W, 1] as coloured ones [B, H, W, 3], a key for each."""
  height, width = images.shape[1:3]
  # The first three are the colour, the others the noise.
  normal = counter_random.normal(keys, 3 + 3 * height * width)
  colors = color_sd * normal[:, tf.newaxis, tf.newaxis, :3]
  noise = noise_sd * tf.reshape(normal[:, 3:], [-1, height, width, 3])
  signed = tf.clip_by_value(images * colors + (images - 1.0) + noise, -1.0, 1.0)
  return 0.5 * (signed + 1.0)


def _show_as(
  source: sources.Source,
  show: _Show,
  *,
  seed: int,
  channels: int = 1,
  num_context: int | None = None,
  channels_are_images: bool = False,
  labels: bool = True,
) -> sources.Source:
  """The source with a view of digits in both splits."""

  def shown(split: sources.Split, number: int) -> sources.Split:
    num_classes = source.num_classes
    stored_labels = split.labels
    if stored_labels is None or num_classes is None:
      # Then nobody asks for them.
      stored_labels, num_classes = np.zeros(split.num_examples, np.int32), 1

    def make_reader(images: np.ndarray) -> views.Reader:
      digits = digit_index.make(images, stored_labels, num_classes)
      return lambda indices, keys: show(digits, indices, keys)

    height, width, _ = split.images.shape[1:]
    context_shape = None
    if num_context is not None:
      context_shape = (num_context, height, width, 1)
    return split._replace(
      labels=split.labels if labels else None,
      view=views.View(
        make_reader,
        image_shape=(height, width, channels),
        context_shape=context_shape,
        channels_are_images=channels_are_images,
        partner_key=counter_random.fold(seed, number, _PARTNERS),
      ),
    )

  return sources.map_splits(source, shown)._replace(
    num_classes=source.num_classes if labels else None
  )


def _check_number(name: str, value: Any, *, least: float = -math.inf) -> None:
  is_number = isinstance(value, (int, float)) and math.isfinite(value)
  if not is_number or value < least:
    need = "a number" if least == -math.inf else f"a number from {least:g} on"
    raise errors.UserError(f"`{name}` must be {need}; got {value!r}.")


def _check_stored(source: sources.Source, task: str) -> None:
  if source.train.view is not None:
    raise errors.UserError(
      f"The task {task!r} needs images as they are stored; those of "
      f"{source.name!r} have a view already."
    )


def _check_digits(source: sources.Source, task: str) -> None:
  _check_stored(source, task)
  channels = source.image_shape[-1]
  if channels != 1:
    raise errors.UserError(
      f"The task {task!r} needs images of one channel; those of "
      f"{source.name!r} have {channels}."
    )


def _checked_labels(
  source: sources.Source, task: str
) -> list[tuple[str, np.ndarray]]:
  """The labels of both splits, beside how an error names the split."""
  _check_digits(source, task)
  labels = []
  for name, split in (("train", source.train), ("test", source.test)):
    if split.labels is None:
      raise errors.UserError(
        f"The task {task!r} needs labels; {source.name!r} has none."
      )
    labels.append((f"the {name} split of {source.name!r}", split.labels))
  return labels


def _check_sums(source: sources.Source, task: str) -> None:
  for name, labels in _checked_labels(source, task):
    present = np.unique(labels)
    sums = np.unique((present[:, np.newaxis] + present) % source.num_classes)
    missing = np.setdiff1d(sums, present)
    if len(missing):
      raise errors.UserError(
        f"The task {task!r} needs every class that two labels can add up to, "
        f"modulo {source.num_classes}; {name} has none of class {missing[0]}."
      )


def _check_pairs(source: sources.Source, task: str) -> None:
  for name, labels in _checked_labels(source, task):
    counts = np.bincount(labels)
    if 1 in counts:
      raise errors.UserError(
        f"The task {task!r} needs two examples of every class; {name} has one "
        f"of class {counts.tolist().index(1)}."
      )
