"""`trainyard validate`: all problems of manifest and zip at once, with no service."""

from __future__ import annotations

import zipfile

import pytest

pytest_plugins = ["cli_front_door"]

MANIFEST = """\
model_definition:
  framework:
    name: tensorflow
    version: {version}
  name: tf-mnist-showtest1
  description: Simple MNIST model implemented in TF
  execution:
    command: python3 convolutional_network.py --learningRate 0.001
    resource: {resource}
training_data_reference:
- connection: &store
    endpoint_url: https://s3.train.example
    aws_access_key_id: AKIDAKIDAKIDAKID
    aws_secret_access_key: h0nter2h0nter2h0nter2
  source:
    bucket: mnist-training-data
    type: s3
training_results_reference:
  connection: *store
  target:
    bucket: mnist-training-models
    type: s3
"""


@pytest.fixture
def files(home):
    """Write a manifest and a zip, with changes."""

    def write(version="1.2-py3", resource="small", program="convolutional_network.py"):
        (home / "job.yaml").write_text(MANIFEST.format(version=version, resource=resource))
        with zipfile.ZipFile(home / "tf-model.zip", "w") as packed:
            packed.writestr(program, "print('hello')\n")
        return "job.yaml", "tf-model.zip"

    return write


def test_a_good_submission_is_said_to_be_good(run, files):
    done = run("validate", *files())
    assert done.out == "Validating job.yaml and tf-model.zip ...\nOK\nValidate successful\n"
    assert (done.code, done.err) == (0, "")


def test_the_zip_may_be_left_out(run, files):
    done = run("validate", files()[0])
    assert done.out == "Validating job.yaml ...\nOK\nValidate successful\n"


def test_a_manifest_may_come_from_stdin(run, home):
    done = run("validate", "-", stdin=MANIFEST.format(version="1.2-py3", resource="huge").encode())
    assert done.code == 1
    assert "<stdin>:9:15: model_definition.execution.resource:" in done.err


def test_problems_of_both_files_come_together_each_with_its_file_place_and_hint(run, files):
    done = run("validate", *files(version="9.9", resource="huge", program="other.py"))
    assert done.code == 1
    assert done.out == "Validating job.yaml and tf-model.zip ...\n"
    assert "job.yaml:4:14: model_definition.framework.version:" in done.err
    assert "job.yaml:9:15: model_definition.execution.resource:" in done.err
    assert done.err.count("  hint: ") >= 2
    assert done.err.splitlines()[-2].startswith("error C1")


def test_a_program_that_is_not_in_the_zip_is_found(run, files):
    done = run("validate", *files(program="other.py"))
    assert done.code == 1
    assert "tf-model.zip: " in done.err
    assert "convolutional_network.py" in done.err


def test_a_file_that_is_no_zip_is_found_beside_the_manifest_s_problems(run, files, home):
    names = files(version="9.9")
    (home / "tf-model.zip").write_bytes(b"\x1f\x8b tar")
    done = run("validate", *names)
    assert "job.yaml:4:14:" in done.err
    assert "tf-model.zip: " in done.err


def test_the_quota_is_checked_where_an_account_is_named(run, files):
    names = files(resource="large")
    assert run("validate", *names).code == 0
    done = run("validate", *names, "--account", "free")
    assert done.code == 1
    assert "error C104" in done.err
    assert "job.yaml:9:15:" in done.err


def test_an_unknown_account_is_wrong_usage_that_names_the_known_ones(run, files):
    done = run("validate", *files(), "--account", "nobody")
    assert done.code == 2
    assert "default, free" in done.err


def test_limits_of_one_s_own_are_used(run, files, home, monkeypatch):
    (home / "quotas.yaml").write_text("accounts:\n  - {name: tiny, gpus: 0, members: ['*'], max_hours: 1}\n")
    monkeypatch.setenv("TRAINYARD_QUOTAS_FILE", str(home / "quotas.yaml"))
    done = run("validate", *files(), "--account", "tiny")
    assert done.code == 1
    assert "error C104" in done.err


def test_json_holds_the_spec_the_plan_and_no_credentials(run, files):
    done = run("validate", *files(), "--account", "default", "-o", "json")
    assert done.data["valid"] is True
    assert done.data["spec"]["name"] == "tf-mnist-showtest1"
    assert (done.data["plan"]["account"], done.data["plan"]["gpus"]) == ("default", 1)
    assert "AKIDAKID" not in done.out
    assert "h0nter2" not in done.out


def test_without_an_account_there_is_no_plan(run, files):
    assert run("validate", *files(), "-o", "json").data["plan"] is None


def test_problems_as_json_carry_their_file(run, files):
    done = run("validate", *files(version="9.9"), "-o", "json")
    (problem,) = done.data["error"]["problems"]
    assert (done.code, problem["file"], problem["line"], problem["column"]) == (1, "job.yaml", 4, 14)


def test_a_secret_in_a_problem_is_not_repeated(run, files, home):
    names = files()
    text = (home / "job.yaml").read_text().replace("aws_access_key_id: AKIDAKIDAKIDAKID", "aws_access_key_id: ''")
    (home / "job.yaml").write_text(text)
    done = run("validate", *names)
    assert done.code == 1
    assert "h0nter2" not in done.out + done.err
