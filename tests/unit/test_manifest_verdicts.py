"""Every real manifest gets the verdict that reading it gives."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace

import pytest
import yaml
from manifest_samples import change, limits, read, refusal
from pod_samples import SMALL
from realmanifests import FOLDER, RUNNING, VERDICTS, source

from trainyard.cluster.learners import run_objects
from trainyard.domain.launching import first_that_ends
from trainyard.domain.plan import make_plan
from trainyard.domain.training import TrainingSpec

_LEARNERS = re.compile(r"^ *(learners|nodes): *(?!1\b)\S", re.MULTILINE)
REFUSED = [name for name, verdict in VERDICTS.items() if "refused" in verdict]


def test_every_file_has_a_verdict():
    assert sorted(VERDICTS) == sorted(path.name for path in FOLDER.glob("*.yml"))
    assert len(RUNNING) + len(REFUSED) == 78


@pytest.mark.parametrize("name", RUNNING)
def test_a_good_manifest_runs(name):
    found = read(source(name))
    spec = found.submission.spec
    wanted = spec.resources.size or f"{spec.resources.gpus} GPUs"
    if spec.resources.nodes > 1:
        wanted = f"{spec.resources.nodes} x {wanted}"
    assert f"{spec.framework} on {wanted}" == VERDICTS[name]["run"]
    reported = VERDICTS[name].get("warns", [])
    assert all(any(words in warning for warning in found.submission.warnings) for words in reported)
    assert bool(reported) == bool(found.submission.warnings)
    assert make_plan(spec, limits().accounts["default"], limits()).image
    assert TrainingSpec.from_dict(spec.as_dict()) == spec


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_manifest_is_refused_for_the_right_reasons(name):
    error = refusal(source(name))
    assert error.code.code == VERDICTS[name]["refused"]
    messages = [problem.message for problem in error.problems]
    for words in VERDICTS[name]["words"]:
        assert any(words in message for message in messages), (words, messages)
    for problem in error.problems:
        assert problem.line
        assert problem.hint


ASKING = sorted(path.name for path in FOLDER.glob("*.yml") if _LEARNERS.search(path.read_text("utf-8")))


def spec_of(name):
    """The spec of a manifest, with credentials in the places where its author has left them out."""
    return read(source(name).replace('key_id: "..."', "key_id: ada").replace('key: "..."', "key: s")).submission.spec


def test_the_plans_of_all_manifests_that_ask_for_learners_are_as_recorded():
    plans = {}
    for name in ASKING:
        spec = spec_of(name)
        assert spec.resources.nodes > 1
        plans[name] = json.loads(json.dumps(make_plan(spec, limits().accounts["default"], limits()).as_dict()))
    path = FOLDER.parent / "golden" / "plans-of-learners.yaml"
    if os.environ.get("TRAINYARD_WRITE_GOLDEN"):
        path.write_text(yaml.safe_dump(plans, sort_keys=True, width=120), encoding="utf-8")
    assert plans == yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ASKING)
def test_commands_that_count_machines_themselves_run_unchanged_and_those_of_mpi_by_mpirun(name):
    spec = spec_of(name)
    plan = make_plan(spec, limits().accounts["default"], limits())
    run = replace(SMALL, spec=spec, plan=plan)
    for pod in run_objects(run).pods:
        found = {each["name"]: each.get("value") for each in pod["spec"]["containers"][0]["env"]}
        assert found["TRAINING_COMMAND"].replace("$$", "$") == spec.command
        launched = "horovod" in str(spec.framework) or spec.framework.name == "pytorchmpi"
        assert ("LEARNER_PROCESSES" in found) is launched
        assert (found["NUM_LEARNERS"], found["LEARNER_TOGETHER"]) == (str(plan.learners), "/job")
        assert found["NUM_GPUS"] == found["GPU_COUNT"] == str(plan.gpus)
    assert first_that_ends(spec.command, spec.env, plan.learners) == (2 if "./launcher.py" in spec.command else 1)


S3_TEMPLATE = "CHATTG1__PredictiveModeling__nl-de-ml_dlaas_working_with_new_models-block1@b83c855d.yml"
SWIFT_TEMPLATE = "CHATTG1__PredictiveModeling__nl-de-ml_dlaas_working_with_new_models-block2@b83c855d.yml"
FILLED = {
    "<auth-url>": "https://storage.example.com",
    "<username>": "ada",
    "<password>": "sEcReT",
    "<region>": "dallas",
    "<domain-name>": "1090141",
    "<project-id>": "3f0f",
}


@pytest.mark.parametrize(
    ("name", "kind", "rest"),
    [
        (S3_TEMPLATE, "s3", (None, None, None)),
        (SWIFT_TEMPLATE, "bluemix_objectstore", ("dallas", "1090141", "3f0f")),
    ],
)
def test_the_documented_examples_run_once_they_are_filled_in(name, kind, rest):
    text = source(name)
    for placeholder, value in FILLED.items():
        if placeholder in text:
            text = change(text, placeholder, value)
    submission = read(text).submission
    data, results = submission.spec.data, submission.spec.results
    assert (data.kind, data.bucket, data.endpoint) == (kind, "mnist-training-data", "https://storage.example.com")
    assert (results.kind, results.bucket) == (kind, "mnist-training-models")
    assert (data.region, data.domain, data.project) == rest
    assert (submission.data_credentials.user, submission.data_credentials.secret) == ("ada", "sEcReT")
    assert submission.spec.command.endswith("--learningRate 0.001 --trainingIters 2000000")
    assert submission.spec.resources.size == "small"
    assert submission.warnings == ()


def test_no_refusal_shows_a_credential():
    text = change(source(S3_TEMPLATE), "<password>", "sEcReT")
    assert "sEcReT" not in str(refusal(text).as_dict())
