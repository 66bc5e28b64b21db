"""`env` and `secrets` of a manifest: read from every family, refused by their lines, and what a pod has of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from manifest_samples import FFDL, MANIFEST, only_problem, read
from pod_samples import SMALL

from trainyard.cluster.spec import training_pod
from trainyard.domain.training import TrainingSpec

_BOTH = """\
env:
  OMP_NUM_THREADS: 4
  TOKENIZERS_PARALLELISM: false
  EXACT: 0.10
  GREETING: 'a b'
  NOTHING:
  PYTHONHASHSEED: 0
secrets: [WANDB_API_KEY, HF_TOKEN, HF_TOKEN]
"""


@pytest.mark.parametrize("manifest", [MANIFEST, FFDL], ids=["wml", "ffdl"])
class TestReading:
    def test_variables_are_texts_as_they_are_written_and_secrets_names(self, manifest):
        spec = read(manifest + _BOTH).submission.spec
        assert spec.env == {
            "OMP_NUM_THREADS": "4",
            "TOKENIZERS_PARALLELISM": "false",
            "EXACT": "0.10",
            "GREETING": "a b",
            "PYTHONHASHSEED": "0",
        }
        assert spec.secrets == ("WANDB_API_KEY", "HF_TOKEN")
        assert TrainingSpec.from_dict(spec.as_dict()) == spec

    def test_the_kept_manifest_shows_the_names_of_secrets(self, manifest):
        assert "- WANDB_API_KEY" in read(manifest + _BOTH).masked

    def test_a_manifest_that_has_neither_gives_none(self, manifest):
        for text in ("", "env:\nsecrets:\n", "env: {}\nsecrets: []\n"):
            spec = read(manifest + text).submission.spec
            assert (dict(spec.env), spec.secrets) == ({}, ())

    @pytest.mark.parametrize("name", ["DATA_DIR", "TRAINYARD_SECRETS", "LEARNER_ID", "PATH", "CUDA_VISIBLE_DEVICES"])
    @pytest.mark.parametrize("form", ["env: {%s: x}\n", "secrets: [%s]\n"])
    def test_names_that_the_pod_sets_itself_are_refused(self, manifest, name, form):
        assert "is set for every program already" in only_problem(manifest + form % name).message

    @pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "MASTER_ADDR", "TF_CONFIG", "PET_NNODES"])
    @pytest.mark.parametrize("form", ["env: {%s: x}\n", "secrets: [%s]\n"])
    def test_names_that_several_learners_find_set_are_refused_where_there_are_several(self, manifest, name, form):
        alone = manifest + form % name
        read(alone)
        together = alone.replace("learners: 1", "learners: 2").replace(
            "resource: small", "compute_configuration: {name: small, nodes: 2}"
        )
        assert only_problem(together).message == f"{name} is set for each of several learners."

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("env: {a-b: x}\n", "cannot be the name of an environment variable"),
            ("env: {A: [1]}\n", "a list, not text"),
            ("env: [A]\n", "a list, not a map"),
            ("env: {A: 1}\nsecrets: [A]\n", "given twice"),
            ("secrets: WANDB_API_KEY\n", "text, not a list"),
            ("secrets: [3]\n", "a number, not text"),
        ],
    )
    def test_what_is_neither_is_refused(self, manifest, text, words):
        assert words in only_problem(manifest + text).message

    @pytest.mark.parametrize("text", ["secrets: [5b1c0ffee]\n", "secrets: {A: 5b1c0ffee}\n", "secrets: 5b1c0ffee\n"])
    def test_a_value_in_the_place_of_a_name_is_refused_and_not_repeated(self, manifest, text):
        problem = only_problem(manifest + text)
        assert "5b1c0ffee" not in str(problem)
        assert problem.seen in ("****", None)

    def test_a_variable_that_looks_like_a_secret_is_warned_of(self, manifest):
        (warning,) = [one for one in read(f"{manifest}env: {{API_TOKEN: abc}}\n").submission.warnings if "TOKEN" in one]
        assert "trainyard secret set API_TOKEN" in warning


def test_a_hyperparameter_and_a_variable_of_one_name_are_refused():
    tuned = MANIFEST.replace("    command:", "    hyperparameters: {lr: 0.1}\n    command:", 1)
    assert "given twice" in only_problem(f"{tuned}env: {{lr: 2}}\n").message


def test_a_pod_has_the_variables_and_no_more_of_a_secret_than_where_it_is():
    spec = replace(SMALL.spec, env={"A": "$(HOME)", "HOME": "mine"}, secrets=("WANDB_API_KEY",))
    env = {one["name"]: one for one in training_pod(replace(SMALL, spec=spec))["spec"]["containers"][0]["env"]}
    assert env["A"]["value"] == "$$(HOME)"
    assert env["HOME"]["value"] != "mine"
    assert env["TRAINYARD_SECRETS"]["value"] == "WANDB_API_KEY"
    reference = env["WANDB_API_KEY"]["valueFrom"]["secretKeyRef"]
    assert reference["key"] == "WANDB_API_KEY"
    assert reference["name"].startswith(SMALL.key.model_id.lower())
    plain = training_pod(SMALL)["spec"]["containers"][0]["env"]
    assert [one for one in plain if one["name"] == "TRAINYARD_SECRETS" or "valueFrom" in one] == []
