# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Likelihoods that do not depend on the multipliers."""

import math


def quantized_normal_per_dim(
  mse: float, sigma: float, bin_width: float = 1.0 / 255.0
) -> float:
  """Expected −ln p of one dimension under the quantized normal, nats.

    ½ ln 2πσ² + (MSE + bin²/12) / 2σ² − ln bin

  The mean over u ~ U(−½, ½)·bin of −ln(N(x + u; g, σ²)·bin), with
  E (x − g)² = MSE.

  Args:
    mse: mean squared error per dimension, data in [0, 1].
    sigma: σ of the decoder.
    bin_width: between two values of a pixel.

  Returns:
    Nats per dimension.

  Source: "Taming VAEs", appendix D, after Rosca et al. 2018; BUILD_NOTES 8.
  """
  variance = sigma**2
  spread = mse + bin_width**2 / 12.0
  return (
    0.5 * math.log(2.0 * math.pi * variance)
    + spread / (2.0 * variance)
    - math.log(bin_width)
  )
