# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Constraints from the command line, for the data that there are."""

import json

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import constraints, data, errors, multipliers, runs
from geco_tf.runs import build, classifiers
from tests.training import tiny


def _config(*specs, **changes):
  return tiny.config(kappa=None, constraint=specs, **changes)


def _source(channels=1, labels=True, side=8):
  """Noise; what matters is what is said of it."""
  random = np.random.RandomState(0)
  images = random.uniform(size=[6, side, side, channels]).astype(np.float32)
  split = data.Split(images, np.arange(6, dtype=np.int32) if labels else None)
  return data.Source("noise", split, split, 6 if labels else None)


def _batch(source):
  images = tf.convert_to_tensor(source.train.images)
  context = {"labels": source.train.labels, "kl": tf.ones([6])}
  return images, 0.5 * images, context


def _classifier(folder, image_shape=(8, 8, 1), num_classes=6):
  """A folder as training a classifier leaves it, after no step."""
  config = runs.ClassifierConfig(model_option=("channels=2", "hidden_size=4"))
  network = classifiers.Network(image_shape, num_classes)
  workdir = runs.Workdir(str(folder))
  workdir.create()
  classifiers.claim_for_classifier(workdir, config, network, {})
  model = classifiers.build_classifier(config, network)
  for variable in model.variables:
    seed = [len(variable.shape), 1]
    variable.assign_add(0.3 * tf.random.stateless_normal(variable.shape, seed))
  checkpoint = tf.train.Checkpoint(model=model)
  tf.train.CheckpointManager(
    checkpoint, workdir.file("checkpoints"), max_to_keep=1
  ).save()
  return str(folder)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
  return _classifier(tmp_path_factory.mktemp("classifier"))


@pytest.mark.parametrize(
  ("spec", "kind", "attributes"),
  [
    ("re:0.1", constraints.ReconstructionError, {"kappa": 0.1, "size": None}),
    ("re:.1,per=channel", constraints.ReconstructionError, {"size": 3}),
    ("re:.1,per=region,grid=4", constraints.ReconstructionError, {"size": 16}),
    ("re:.1,name=x", constraints.ReconstructionError, {"name": "x"}),
    ("re:.1,per=class", constraints.PerClass, {"size": 6, "name": "re"}),
    ("pncc:.7,per=class", constraints.PerClass, {"size": 6, "name": "pncc"}),
    (
      "pncc:-.1,patch_size=4",
      constraints.PatchNormalizedCrossCorrelation,
      {"kappa": -0.1},
    ),
    ("kl:25", constraints.KLBudget, {"kappa": 25.0}),
    ("nll:4.6", constraints.NegLogLikelihood, {"kappa": 4.6}),
    ("lipschitz:3,distance=.2", constraints.LipschitzConstraint, {}),
    ("fre:.1", constraints.FeatureReconstructionError, {"name": "fre"}),
  ],
)
def test_spec_is_the_constraint(spec, kind, attributes):
  (built,) = build.build_constraints(_config(spec), _source(channels=3))
  assert isinstance(built, kind)
  for name, value in attributes.items():
    assert getattr(built, name) == value


def test_several_specs_are_held_together():
  objective = build.build_objective(_config("re:0.1", "pncc:0.7"), _source())
  assert list(objective.geco.constraints) == ["re", "pncc"]


def test_features_have_options_of_their_own():
  source = _source()
  images, half, _ = _batch(source)
  (built,) = build.build_constraints(
    _config("fre:.1,features=local_statistics,sides=(2, 4)"), source
  )
  expected = constraints.FeatureReconstructionError(
    0.1, feature_fn=constraints.local_statistics(sides=(2, 4))
  )
  np.testing.assert_array_equal(
    built(images, half).violation, expected(images, half).violation
  )


def test_layers_and_judge_are_the_classifiers(classifier):
  source = _source()
  images, half, context = _batch(source)
  judge = runs.load_classifier(classifier)
  cla, fre = build.build_constraints(
    _config("cla:.9", "fre:.1,features=conv_0+dense", classifier=classifier),
    source,
  )
  probabilities = tf.nn.softmax(judge(half)).numpy()
  np.testing.assert_allclose(
    cla.evaluate(images, half, context).violation,
    0.9 - probabilities[np.arange(6), source.train.labels],
    rtol=1e-5,
  )
  layers = [judge.features(i) for i in (images, half)]
  squares = [
    np.mean((layers[0][n].numpy() - layers[1][n].numpy()) ** 2)
    for n in ("conv_0", "dense")
  ]
  value = fre(images, half)
  level = fre.level(tf.reduce_mean(value.violation), value.bound)
  np.testing.assert_allclose(level, np.sqrt(np.mean(squares)), rtol=1e-4)


def test_classifier_is_not_trained_and_not_in_the_checkpoint(classifier):
  config = _config("cla:.9", classifier=classifier)
  objective = build.build_objective(config, _source())
  assert objective.trainable_variables == ()
  plain = build.build_objective(_config("kl:9"), _source())
  assert len(objective.variables) == len(plain.variables)


@pytest.mark.parametrize(
  ("specs", "message"),
  [
    (("re:0.1", "re:0.2"), r"differ in name; got \['re', 're'\]"),
    (("re:1",), r"`kappa` must be below 1, as images are in \[0, 1\]; got 1"),
    (("cla:1.2",), "needs a classifier; set `classifier`"),
    (("pncc:1.2",), r"`kappa` must be in \(-1, 1\), a correlation; got 1\.2"),
    (("nll:0.1",), "`kappa` must be above 0.1765 nats"),
    (("nll:7",), r"`kappa` must be below 6\.96, as images are in \[0, 1\]"),
    (("kl:0",), "`kappa` must be positive"),
    (("re:.1,name=a/b",), "letters, digits and _, .*; got 'a/b'"),
    (("re:.1,name=3",), "`name` of a constraint must be letters"),
    (("fre:.1,sides=4",), r"`sides` must be some, as in \(2, 4\); got 4"),
    (("fre:.1,sides=()",), r"`sides` must be some"),
    (("re:.1,per",), "NAME=VALUE; got 'per'"),
    (("re:.1,per=chanel",), "Unknown per 'chanel'; did you mean 'channel'"),
    (("re:.1,per=clas",), "Unknown per 'clas'; did you mean 'class'"),
    (("kl:9,per=channel",), "Unknown per 'channel'; .*'class'|known: class"),
    (("re:.1,gird=3",), "option of the constraint 're' 'gird'; did you mean"),
    (("re:.1,per=region,grid=x",), "`grid` must be a whole number"),
    (("fre:.1,features=edges",), "`features` must be local_statistics, or"),
    (("re:.1,per=region,per=class,grid=2",), "must give each option once"),
  ],
)
def test_mistake_is_named_before_there_are_data(specs, message):
  with pytest.raises(errors.UserError, match=message):
    build.check(_config(*specs))


def test_kappa_that_no_classifier_reaches_is_named(classifier):
  with pytest.raises(
    errors.UserError, match=r"below 1, a probability; got 1.2"
  ):
    build.check(_config("cla:1.2", classifier=classifier))


def test_checking_starts_nothing(classifier):
  """Devices can still be chosen after it, and nothing is loaded."""
  (cla,) = build.build_constraints(_config("cla:.9", classifier=classifier))
  with pytest.raises(errors.UserError, match="built without data"):
    cla(None, tf.zeros([1, 8, 8, 1]), labels=[0])


@pytest.mark.parametrize("spec", ["cla:.9", "re:.1,per=class"])
def test_data_without_labels_are_named(spec, classifier):
  config = _config(spec, classifier=classifier)
  with pytest.raises(
    errors.UserError, match="needs labels; the data set 'noise' has none"
  ):
    build.build_objective(config, _source(labels=False))


@pytest.mark.parametrize("spec", ["cla:.9", "fre:.1,features=dense"])
def test_classifier_for_other_images_is_named(spec, classifier):
  config = _config(spec, classifier=classifier)
  with pytest.raises(
    errors.UserError, match=r"images \[9, 9, 1\], .* one of \[8, 8, 1\]"
  ):
    build.build_objective(config, _source(side=9))


def test_classifier_of_other_classes_is_named(tmp_path):
  folder = _classifier(tmp_path / "two", num_classes=2)
  with pytest.raises(errors.UserError, match=r"the 6 classes .* tells 2"):
    build.build_objective(_config("cla:.9", classifier=folder), _source())


def test_layer_that_does_not_exist_names_the_nearest(classifier):
  config = _config("fre:.1,features=conv_O", classifier=classifier)
  with pytest.raises(
    errors.UserError, match=r"layer .* 'conv_O'; did you mean .*'conv_0'"
  ):
    build.build_objective(config, _source())


def test_folder_that_is_no_classifiers_is_named_before_there_are_data(tmp_path):
  (tmp_path / "config.json").write_text(json.dumps({"config": {}}))
  config = _config("cla:.9", classifier=str(tmp_path))
  with pytest.raises(errors.UserError, match="the folder of a run of"):
    build.check(config)


def test_each_constraint_may_have_a_rule_of_its_own():
  config = _config(
    "re:0.1", "pncc:0.7", constraint_rule=("pncc=log_ratio:1e-3",)
  )
  rules = build.build_update_rules(config, ["re", "pncc"])
  assert isinstance(rules["re"], multipliers.Auto)
  assert isinstance(rules["pncc"], multipliers.LogRatio)
  assert rules["pncc"].rate == 1e-3
  build.check(config)


def test_two_rules_of_one_constraint_are_refused():
  config = _config("re:0.1", constraint_rule=("re=auto", "re=log_ratio:1e-3"))
  with pytest.raises(errors.UserError, match="once a constraint; 're' has two"):
    build.check(config)


def test_options_reach_a_rule():
  config = _config("re:0.1", update_rule="log_ratio,rate=2e-3")
  assert build.build_update_rules(config, ["re"])["re"].rate == 2e-3


@pytest.mark.parametrize(
  ("rule", "message"),
  [
    ("pncc", "CONSTRAINT=RULE; got 'pncc'"),
    ("pnc=auto", "constraint of this run 'pnc'; did you mean 'pncc'"),
    ("pncc=autos", "update rule 'autos'; did you mean 'auto'"),
    ("pncc=log_ratio", "'log_ratio' needs `rate`"),
    ("pncc=log_ratio:1e-3,rat=1", "option .* 'rat'; did you mean 'rate'"),
  ],
)
def test_mistake_in_a_rule_is_named(rule, message):
  with pytest.raises(errors.UserError, match=message):
    build.check(_config("re:0.1", "pncc:0.7", constraint_rule=(rule,)))
