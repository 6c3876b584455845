# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A classifier's config is JSON and back, and its folder is known for one."""

import dataclasses
import json

import pytest

from geco_tf import errors, runs
from geco_tf.runs import classifiers


def test_config_survives_json():
  config = runs.ClassifierConfig(model_option=("channels=4",), flip=True)
  text = json.dumps(config.to_json())
  assert runs.ClassifierConfig.from_json(json.loads(text)) == config


def test_every_setting_has_a_help_text():
  for field in dataclasses.fields(runs.ClassifierConfig):
    assert field.metadata["help"]


def test_unknown_setting_names_the_nearest():
  with pytest.raises(errors.UserError, match="did you mean 'num_steps'"):
    runs.ClassifierConfig().replace(num_step=3)


@pytest.mark.parametrize("content", [None, "[]", '{"config": {}}'])
def test_folder_without_a_classifier_is_refused(content, tmp_path):
  if content is not None:
    (tmp_path / "config.json").write_text(content)
  with pytest.raises(errors.UserError, match="the folder of a run of"):
    runs.load_classifier(str(tmp_path))


def test_classifier_without_a_checkpoint_is_refused(tmp_path):
  folder = runs.Workdir(str(tmp_path))
  network = classifiers.Network((8, 8, 1), 10)
  classifiers.claim_for_classifier(folder, runs.ClassifierConfig(), network, {})
  with pytest.raises(errors.UserError, match="must hold a checkpoint"):
    runs.load_classifier(str(tmp_path))


def test_data_dir_may_differ_when_a_training_goes_on(tmp_path):
  folder = runs.Workdir(str(tmp_path))
  network = classifiers.Network((8, 8, 1), 10)
  config = runs.ClassifierConfig()
  for where in (None, "/elsewhere"):
    classifiers.claim_for_classifier(
      folder, config.replace(data_dir=where), network, {"crc32": 1}
    )
  with pytest.raises(errors.UserError, match="crc32 is 1 there and 2 here"):
    classifiers.claim_for_classifier(folder, config, network, {"crc32": 2})
