# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Images in memory for PyTorch's DataLoader, a batch at a time."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.utils.data


class _Examples(torch.utils.data.Dataset):
  def __init__(self, images: np.ndarray, labels: np.ndarray):
    self._images = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    self._labels = torch.from_numpy(labels)

  def __len__(self):
    return len(self._images)

  def __getitems__(self, indices):
    return self._images[indices].float() / 255.0, self._labels[indices]


def batches(
  images: np.ndarray, labels: np.ndarray, batch_size: int, *, num_workers: int
) -> Iterator:
  """Endless shuffled batches, made by processes of their own.

  Args:
    images: [N, H, W, C], uint8.
    labels: [N].
    batch_size: B.
    num_workers: how many processes.
  """
  loader = torch.utils.data.DataLoader(
    _Examples(images, labels),
    batch_size,
    shuffle=True,
    num_workers=num_workers,
    collate_fn=_as_it_is,
    drop_last=True,
    persistent_workers=True,
    # A process with TensorFlow's threads in it is better not forked.
    multiprocessing_context="spawn",
  )
  while True:
    yield from loader


def _as_it_is(batch):
  return batch
