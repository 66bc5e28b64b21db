"""`trainyard train`."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile

import pytest

pytest_plugins = ["cli_front_door"]


def test_train_prints_what_the_2017_service_printed(cli, submission):
    done = cli("train", *submission)
    assert done.out == "Starting to train ...\nOK\nModel-ID is 'training-000000001'\n"
    assert (done.code, done.err) == (0, "")


def test_train_sends_both_files_and_the_account_as_they_are(cli, submission, front_door, home):
    cli("train", *submission, "--account", "vision")
    sent = front_door.submissions[0]
    assert sent["manifest"] == (home / "job.yaml").read_bytes()
    assert sent["zip"] == (home / "tf-model.zip").read_bytes()
    assert sent["account"] == b"vision"


def test_without_an_account_the_service_decides_who_pays(cli, submission, front_door):
    cli("train", *submission)
    assert "account" not in front_door.submissions[0]


def test_files_in_the_other_order_are_taken_for_what_they_are(cli, submission, front_door, home):
    done = cli("train", *reversed(submission))
    assert done.code == 0
    assert "job.yaml" in done.err
    assert zipfile.is_zipfile(io.BytesIO(front_door.submissions[0]["zip"]))


def test_a_manifest_may_come_from_stdin(cli, submission, front_door):
    done = cli("train", submission[0], "-", stdin=b"model_definition: {}\n")
    assert done.code == 0
    assert front_door.submissions[0]["manifest"] == b"model_definition: {}\n"


def test_a_missing_file_is_wrong_usage_and_nothing_is_sent(cli, submission, front_door):
    done = cli("train", "nowhere.zip", "job.yaml")
    assert (done.code, done.out) == (2, "")
    assert "there is no file nowhere.zip" in done.err
    assert front_door.asked == []


@pytest.mark.parametrize("words", [("model", "job.yaml"), ("job.yaml", "model"), ("model/own.yaml", "model")])
def test_a_folder_is_packed_in_either_order_without_the_manifest(cli, submission, front_door, home, words):
    (home / "model").mkdir()
    for name in ("train.py", "own.yaml"):
        (home / "model" / name).write_text("secret")
    done = cli("train", *words)
    assert (done.code, done.err) == (0, "")
    names = zipfile.ZipFile(io.BytesIO(front_door.submissions[0]["zip"])).namelist()
    assert names == ["train.py"] if "model/own.yaml" in words else ["own.yaml", "train.py"]


def test_the_commit_of_a_folder_goes_with_it(cli, submission, front_door, home, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (home / "model").mkdir()
    (home / "model" / "train.py").write_text("print()")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "--no-gpg-sign", "-m", "first"]):
        git = ["git", "-c", "user.name=Ada", "-c", "user.email=a@b", "-C", "model", *words]
        subprocess.run(git, check=True, cwd=home)
    assert cli("train", "model", "job.yaml").code == 0
    assert json.loads(front_door.submissions[0]["code"])["changed"] == 0


def test_an_empty_folder_is_wrong_usage(cli, submission, front_door, home):
    (home / "model").mkdir()
    done = cli("train", "model", "job.yaml")
    assert (done.code, front_door.asked) == (2, [])
    assert "has no file" in done.err


def test_warnings_of_the_service_are_shown_beside_the_answer(cli, submission, home):
    (home / "job.yaml").write_text("unquoted: 0.1\n")
    done = cli("train", *submission)
    assert done.code == 0
    assert done.err == "warning: the version should be quoted\n"


def test_in_json_mode_the_answer_is_the_service_s_own(cli, submission):
    done = cli("train", *submission, "--output", "json")
    assert done.data == {
        "model_id": "training-000000001",
        "url": "/v3/models/training-000000001",
        "account": "default",
        "warnings": [],
    }


class TestSeveralRuns:
    def test_several_manifests_go_with_their_names_and_come_back_as_ids(self, cli, submission, front_door, home):
        (home / "other.yaml").write_text("model_definition: {}\n")
        done = cli("train", *submission, "other.yaml", "--experiment", "compare")
        assert done.out.endswith("OK\nModel-ID is 'training-000000001'\nModel-ID is 'training-00000000b'\n")
        sent = front_door.submissions[0]
        assert (sent["manifests"], sent["experiment"]) == (["job.yaml", "other.yaml"], b"compare")

    def test_values_to_set_go_as_they_are(self, cli, submission, front_door):
        cli("train", *submission, "--set", "lr=0.1,0.01", "--set", "batch=32")
        assert front_door.submissions[0]["sets"] == ["lr=0.1,0.01", "batch=32"]

    def test_following_tells_what_each_does_until_all_have_ended(self, cli, submission, front_door):
        front_door.add("training-00000000b", state="completed", phase="done")
        done = cli("train", *submission, "--set", "lr=1,2", "--follow")
        assert done.code == 0
        assert "training-000000001: completed\n" in done.err
        assert "training-00000000b: completed\n" in done.err
        assert done.out.endswith("OK\nAll 2 runs are completed\n")

    def test_one_of_several_that_fails_fails_the_command(self, cli, submission, front_door):
        failed = {"code": "C201", "message": "the program failed", "hint": "Read its log."}
        front_door.add("training-00000000b", state="error", phase="done", outcome=failed)
        done = cli("train", *submission, "--set", "lr=1,2", "--follow")
        assert done.code == 1
        assert "the program failed" in done.err

    def test_stdin_is_one_manifest(self, cli, submission):
        assert cli("train", submission[0], "-", "-").code == 2

    def test_a_problem_stands_with_the_manifest_that_the_service_names(self, cli, submission, front_door, home):
        from cli_front_door import refusal

        (home / "other.yaml").write_text("x: 1\n")
        fault = {"message": "no name.", "hint": "Add it.", "path": "name", "line": 3, "column": 1, "file": "other.yaml"}
        front_door.force("POST", "/v3/models", refusal(400, "C101", "1 problem", "fix", ({**fault, "code": "C101"},)))
        done = cli("train", *submission, "other.yaml")
        assert done.err.startswith("other.yaml:3:1: name: no name.\n")


class TestRefusal:
    PROBLEMS = (
        {
            "message": "tensorflow has no version 9.9.",
            "hint": "Use one of 1.2-py3, 1.3-py3.",
            "path": "model_definition.framework.version",
            "line": 4,
            "column": 14,
            "seen": "9.9",
            "code": "C101",
        },
        {"message": "the zip holds no train.py.", "hint": "Pack it too.", "path": "train.py", "code": "C102"},
    )

    def refuse(self, front_door):
        from cli_front_door import refusal

        answer = refusal(400, "C101", "the submission has 2 problems", "fix what is listed", self.PROBLEMS)
        front_door.force("POST", "/v3/models", answer)

    def test_every_problem_is_listed_with_its_place_value_and_hint(self, cli, submission, front_door):
        self.refuse(front_door)
        done = cli("train", *submission)
        assert (done.code, done.out) == (1, "Starting to train ...\n")
        assert done.err == (
            "job.yaml:4:14: model_definition.framework.version: tensorflow has no version 9.9.\n"
            "  seen: 9.9\n"
            "  hint: Use one of 1.2-py3, 1.3-py3.\n"
            "tf-model.zip: train.py: the zip holds no train.py.\n"
            "  hint: Pack it too.\n"
            "error C101: the submission has 2 problems\n"
            "  hint: fix what is listed\n"
        )

    def test_json_carries_the_same_with_the_file_of_each_problem(self, cli, submission, front_door):
        self.refuse(front_door)
        done = cli("train", *submission, "-o", "json")
        assert (done.code, done.err) == (1, "")
        first, second = done.data["error"]["problems"]
        assert (first["file"], first["line"], first["seen"]) == ("job.yaml", 4, "9.9")
        assert second["file"] == "tf-model.zip"

    def test_a_file_too_large_for_a_proxy_is_said_to_be_so(self, cli, submission, front_door):
        from cli_front_door import Answer

        front_door.force("POST", "/v3/models", Answer(413, b"<html>Too Large</html>", "text/html"))
        done = cli("train", *submission)
        assert done.code == 1
        assert "error C109" in done.err

    def test_a_lost_answer_does_not_hide_that_the_run_may_be_accepted(self, cli, submission, front_door):
        front_door.lose = "POST /v3/models"
        done = cli("train", *submission)
        assert done.code == 1
        assert "look with `trainyard list` before you submit again" in done.err


class TestFollow:
    def test_the_log_follows_the_model_id_on_lines_of_its_own_and_success_ends_with_0(
        self, cli, submission, front_door
    ):
        front_door.logs["training-000000001"] = [b"epoch 1\n", b"epoch 2"]
        done = cli("train", *submission, "--follow")
        assert done.code == 0
        assert done.out == (
            "Starting to train ...\nOK\nModel-ID is 'training-000000001'\n"
            "epoch 1\nepoch 2\n"
            "OK\nRun 'training-000000001' is completed\n"
        )

    def test_a_run_that_ends_in_error_ends_the_command_with_1_and_the_reason(self, cli, submission, front_door):
        front_door.logs["training-000000001"] = [b"Traceback\n", "error"]
        done = cli("train", *submission, "-f")
        assert done.code == 1
        assert done.out.endswith("Traceback\n")
        assert "error S500: the run ended in error" in done.err

    def test_in_json_mode_the_log_goes_to_stderr_and_the_run_to_stdout(self, cli, submission, front_door):
        front_door.logs["training-000000001"] = [b"epoch 1\n", "canceled"]
        done = cli("train", *submission, "-f", "-o", "json")
        assert done.code == 1
        assert done.err == "epoch 1\n"
        assert done.data["run"]["state"] == "canceled"
