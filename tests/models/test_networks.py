# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0

import itertools

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors
from geco_tf.models import networks


@pytest.mark.parametrize("side", range(8, 65))
def test_sides_halve_down_to_between_four_and_eight(side):
  chain = networks.sides(side)
  assert chain[0] == side
  assert len(chain) >= 2
  assert 4 <= chain[-1] <= 8
  for large, small in itertools.pairwise(chain):
    assert small == -(-large // 2)


@pytest.mark.parametrize("side", [8, 9, 17, 31, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_decoder_mirrors_encoder(side, channels):
  shape = (side, side, channels)
  encoder = networks.ConvEncoder(shape, channels=4, hidden_size=6)
  decoder = networks.ConvDecoder(shape, channels=4, hidden_size=6)

  hidden = encoder(tf.random.stateless_uniform((2, *shape), [1, 2]))
  images = decoder(hidden)

  assert hidden.shape == [2, 6]
  assert hidden.dtype == images.dtype == tf.float32
  assert images.shape == [2, *shape]
  assert np.all(images > 0.0) and np.all(images < 1.0)


@pytest.mark.parametrize("side", [9, 28])
def test_networks_are_same_in_eager_graph_and_xla(side):
  shape = (side, side, 1)
  encoder = networks.ConvEncoder(shape, channels=4, hidden_size=6)
  decoder = networks.ConvDecoder(shape, channels=4, hidden_size=6)
  images = tf.random.stateless_uniform((3, *shape), [1, 2])
  expected = decoder(encoder(images))

  for jit_compile in (False, True):

    @tf.function(jit_compile=jit_compile)
    def reconstruct(images):
      return decoder(encoder(images))

    np.testing.assert_allclose(reconstruct(images), expected, atol=1e-5)


@pytest.mark.parametrize("make", [networks.ConvEncoder, networks.ConvDecoder])
@pytest.mark.parametrize(
  ("shape", "kwargs", "message"),
  [
    ((7, 7, 1), {}, "`image_shape` must have a side from 8 to 64; got 7"),
    ((65, 65, 1), {}, "`image_shape` must have a side from 8 to 64; got 65"),
    ((28, 28, 0), {}, "`image_shape` must have at least 1 channel; got 0"),
    ((28, 32, 1), {}, r"`image_shape` must be \(side, side, channels\); got"),
    ((28, 28), {}, r"`image_shape` must be \(side, side, channels\); got"),
    ((8, 8, 1), {"channels": 0}, "`channels` must be at least 1; got 0"),
    (
      (8, 8, 1),
      {"hidden_size": -1},
      "`hidden_size` must be at least 1; got -1",
    ),
  ],
)
def test_bad_argument_is_named(make, shape, kwargs, message):
  with pytest.raises(errors.UserError, match=message):
    make(shape, **kwargs)
