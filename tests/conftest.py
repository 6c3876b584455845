# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every test has: two CPU devices, fixed seeds, real data if there is any.

TensorFlow reads its environment when it is imported and fixes its devices when
it first runs something, so both are settled here, before any test is collected.
"""

import os
import pathlib
import random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import pytest
import tensorflow as tf

_NUM_CPUS = 2


def _configure_devices():
  cpu = tf.config.list_physical_devices("CPU")[0]
  tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * _NUM_CPUS
  )
  if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores. Two inter-op threads, because replicas wait for
    # each other.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(2)


_configure_devices()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
  """Marks what asks for real data, before markers select the tests."""
  for item in items:
    if "real_data_dir" in getattr(item, "fixturenames", ()):
      item.add_marker(pytest.mark.real_data)


@pytest.fixture(autouse=True)
def _seeds():
  """Fixes every global seed; Keras draws its own from `random`."""
  random.seed(0)
  np.random.seed(0)  # noqa: NPY002 (for libraries that use the global state)
  tf.random.set_seed(0)


@pytest.fixture(scope="session")
def real_data_dir() -> pathlib.Path:
  """The folder that GECO_TF_TEST_DATA names; skips the test without it."""
  folder = os.environ.get("GECO_TF_TEST_DATA")
  if not folder:
    pytest.skip("real data: GECO_TF_TEST_DATA is not set")
  path = pathlib.Path(folder)
  if not path.is_dir():
    pytest.skip(f"real data: GECO_TF_TEST_DATA={folder} is not a folder")
  return path
