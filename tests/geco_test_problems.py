# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Problems with known answers, written against the public API alone."""

import abc
from typing import Any, NamedTuple

import keras
import numpy as np
import scipy.optimize
import tensorflow as tf

import geco_tf
from geco_tf.theory import linear_vae


class Problem(tf.Module, abc.ABC):
  """min E[objective] under constraints, and the answer.

  Attributes:
    constraints: for GECO; entries of all of them together are K.
    solution: x*, [P].
    multipliers: λ*, [K].
  """

  constraints: list
  solution: np.ndarray
  multipliers: np.ndarray

  @abc.abstractmethod
  def losses(self, geco, step) -> tuple[tf.Tensor, dict]:
    """The objective [B] and the constraints' values, in this step."""

  @abc.abstractmethod
  def point(self) -> tf.Tensor:
    """Where x is now, [P]: expected, not sampled."""


class Traces(NamedTuple):
  """What a training went through."""

  points: np.ndarray  # [T, P]
  multipliers: np.ndarray  # [T, K], after each step.


def train(
  problem: Problem,
  update_rule: Any,
  optimizer: keras.optimizers.Optimizer,
  num_steps: int,
  decay: float = 0.99,
) -> Traces:
  """Trains by GECO, in one compiled loop."""
  geco = geco_tf.GECO(problem.constraints, update_rule, decay=decay)
  variables = list(problem.trainable_variables)
  optimizer.build(variables)

  @tf.function(jit_compile=True)
  def run():
    points = tf.TensorArray(tf.float32, size=num_steps)
    multipliers = tf.TensorArray(tf.float32, size=num_steps)
    for step in tf.range(num_steps):
      with tf.GradientTape() as tape:
        objective, values = problem.losses(geco, step)
        loss = geco.lagrangian(objective, values)
      gradients = tape.gradient(loss, variables)
      optimizer.apply_gradients(zip(gradients, variables, strict=True))
      geco.update(values)
      points = points.write(step, problem.point())
      multipliers = multipliers.write(
        step, tf.stack(list(geco.multipliers.values()))
      )
    return points.stack(), multipliers.stack()

  return Traces(*(trace.numpy() for trace in run()))


class _HalfSpace(geco_tf.constraints.Constraint):
  """normal · x − offset, on points [B, P]; the targets are noise [B]."""

  def __init__(self, name, normal, offset):
    self.name = name
    self.normal = np.array(normal, np.float32)
    self.offset = offset

  def __call__(self, targets, reconstruction):
    violation = tf.linalg.matvec(reconstruction, self.normal) - self.offset
    return geco_tf.constraints.ConstraintValue(
      violation=violation + targets,
      weight=None,
      bound=tf.ones([]),
      initial_multiplier=tf.ones([]),
    )


class Quadratic(Problem):
  """½ (x − p)ᵀ Q (x − p) under two inequalities, one of which is active.

  With noise, p and both offsets are drawn anew for every example.
  """

  def __init__(self, deviation=0.0, batch_size=64):
    super().__init__()
    self.x = tf.Variable(tf.zeros(3))
    self._curvature = np.array([1.0, 2.0, 4.0])
    self._center = np.array([1.5, 1.0, 0.5])
    self.constraints = [
      _HalfSpace("active", [1.0, 1.0, 1.0], 1.5),
      _HalfSpace("slack", [1.0, -1.0, 0.0], 0.5),
    ]
    self._deviation = deviation
    self._batch_size = batch_size if deviation else 1
    self.solution, self.multipliers = self._solve()

  def losses(self, geco, step):
    noise = self._deviation * tf.random.stateless_normal(
      [self._batch_size, 4], [7, step]
    )
    x = tf.broadcast_to(self.x, [self._batch_size, 3])
    from_center = x - self._center.astype(np.float32) - noise[:, :3]
    objective = 0.5 * tf.linalg.matvec(
      from_center**2, self._curvature.astype(np.float32)
    )
    return objective, geco.constraint_values(noise[:, 3], x)

  def point(self):
    return self.x.read_value()

  def _solve(self):
    """x* by SciPy's SLSQP, λ* ≥ 0 from stationarity by least squares."""
    normals = np.array([c.normal for c in self.constraints], np.float64)
    offsets = np.array([c.offset for c in self.constraints])

    def gradient(x):
      return self._curvature * (x - self._center)

    found = scipy.optimize.minimize(
      lambda x: 0.5 * np.sum(self._curvature * (x - self._center) ** 2),
      np.zeros(3),
      jac=gradient,
      method="SLSQP",
      constraints={"type": "ineq", "fun": lambda x: offsets - normals @ x},
      options={"ftol": 1e-14},
    )
    active = normals @ found.x > offsets - 1e-6
    multipliers, _ = scipy.optimize.nnls(normals.T * active, -gradient(found.x))
    return found.x, multipliers


class LinearGaussian(Problem):
  """The linear VAE on diagonal Gaussian data, one latent a dimension.

  Decoder g(z) = a·z, posterior N(m·x, s²): its optimum under RE is reverse
  water-filling. Its point are the distortions, as the weights' signs are free.
  """

  def __init__(self, variances, total, seed=0, batch_size=256):
    super().__init__()
    size = len(variances)
    self.deviations = tf.sqrt(tf.constant(variances, tf.float32))
    self.a = tf.Variable(0.5 * tf.ones(size))
    self.m = tf.Variable(0.5 * tf.ones(size))
    self.log_s = tf.Variable(tf.zeros(size))
    self._seed = seed
    self._batch_size = batch_size
    kappa = float(np.sqrt(total / size))
    self.constraints = [geco_tf.constraints.ReconstructionError(kappa=kappa)]
    key = linear_vae.water_filling(np.array(variances), total)
    self.solution = key.distortions.numpy()
    self.multipliers = key.multiplier.numpy()[np.newaxis]

  def draw(self, step):
    """Standard normal x / s and noise of the posterior, each [B, D]."""
    shape = [self._batch_size, self.deviations.shape[0]]
    return (
      tf.random.stateless_normal(shape, [self._seed, step]),
      tf.random.stateless_normal(shape, [self._seed + 1, step]),
    )

  def outputs(self, step):
    """Data and their reconstruction, each [B, D], and KL, [B]."""
    whitened, noise = self.draw(step)
    x = self.deviations * whitened
    mean, s = self.m * x, tf.exp(self.log_s)
    kl = tf.reduce_sum(0.5 * (mean**2 + s**2 - 1.0) - self.log_s, axis=1)
    return x, self.a * (mean + s * noise), kl

  def losses(self, geco, step):
    x, reconstruction, kl = self.outputs(step)
    return kl, geco.constraint_values(x, reconstruction)

  def point(self):
    return self.exact().distortions

  def exact(self):
    """The expectations of the current weights."""
    model = linear_vae.LinearVAE(self.a, self.m, tf.exp(2.0 * self.log_s))
    return linear_vae.expectations(model, self.deviations**2)


class ExactLinearGaussian(LinearGaussian):
  """The same without noise: four points whose moments are the Gaussian's.

  Errors are squares of a sum of x and noise, so that a sign of each is enough.
  """

  def draw(self, step):
    del step
    ones = tf.ones([4, self.deviations.shape[0]])
    return (
      tf.constant([[1.0], [1.0], [-1.0], [-1.0]]) * ones,
      tf.constant([[1.0], [-1.0], [1.0], [-1.0]]) * ones,
    )


def cosine_adam(num_steps: int) -> keras.optimizers.Optimizer:
  """Adam at 3e-3, falling to a fiftieth of it."""
  schedule = keras.optimizers.schedules.CosineDecay(3e-3, num_steps, alpha=0.02)
  return keras.optimizers.Adam(schedule)
