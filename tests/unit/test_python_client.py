"""The Python API against a small front door: submitting, waiting, logs, results, and how it shows itself."""

from __future__ import annotations

import os
import re
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from trainyard import Client, Run, TrainyardError, UnreachableError, WrongUsageError
from trainyard.client.access import Access
from trainyard.client.following import lines_of
from trainyard.client.packing import pack
from trainyard.client.rest import RestClient
from trainyard.manifest.grid import read_grid

pytest_plugins = ["cli_front_door"]

ID = "training-DOl4q2LkR"
_ENDED = {"state": "completed", "phase": "done", "finished_at": "2017-10-26T11:20:00Z"}
_OUTCOME = {"code": None, "message": "", "hint": "", "exit_code": 0, "gpu_seconds": 4.0}


@pytest.fixture
def client(front_door, home):
    with Client(front_door.url, token="good") as made:
        yield made


@pytest.fixture
def program(home):
    folder = home / "program"
    folder.mkdir()
    (folder / "train.py").write_text("print('hello')\n")
    return folder


class TestSigningIn:
    def test_without_arguments_it_is_the_service_of_the_command_line(self, front_door, home, monkeypatch):
        monkeypatch.setenv("TRAINYARD_URL", front_door.url)
        monkeypatch.setenv("TRAINYARD_TOKEN", "good")
        assert list(Client().runs()) == []

    def test_a_password_fetches_a_token_and_another_one_when_that_has_run_out(self, front_door, home):
        client = Client(front_door.url, user="ada", password="engine")
        client.runs()
        front_door.tokens.clear()
        client.runs()
        assert front_door.paths("POST") == ["/auth/token"] * 2

    def test_many_threads_sign_in_once(self, front_door, home):
        from concurrent.futures import ThreadPoolExecutor

        client = Client(front_door.url, user="ada", password="engine")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: client.runs(), range(8)))
        assert front_door.paths("POST") == ["/auth/token"]

    @pytest.mark.parametrize(
        "given", [{"user": "ada"}, {"password": "x"}, {"token": "t", "user": "ada", "password": "x"}]
    )
    def test_half_a_sign_in_and_two_of_them_are_wrong_usage(self, front_door, home, given):
        with pytest.raises(WrongUsageError):
            Client(front_door.url, **given)

    def test_without_a_service_it_says_how_to_get_one(self, home):
        with pytest.raises(WrongUsageError, match="no service is known"):
            Client()

    def test_a_service_that_does_not_answer_is_told_apart(self, home):
        with pytest.raises(UnreachableError):
            Client("http://127.0.0.1:9", token="t").runs()

    def test_a_service_without_encryption_is_warned_of(self, home):
        with pytest.warns(UserWarning, match="is not encrypted"):
            Client("http://trainyard.example.com", token="t")


class TestTraining:
    def test_a_folder_is_zipped_and_handed_in_with_what_is_set(self, client, front_door, program, home):
        (home / "job.yml").write_text("name: x")
        run = client.train(program, "job.yml", account="vision", experiment="rates", set={"lr": 0.1, "nesterov": True})
        (reported,) = front_door.submissions
        assert run.id in front_door.runs
        assert (reported["account"], reported["experiment"]) == (b"vision", b"rates")
        assert reported["sets"] == ['lr="0.1"', 'nesterov="true"']

    def test_a_dictionary_is_a_manifest_too(self, client, front_door, program):
        client.train(program, {"name": "x"})
        assert front_door.submissions[0]["manifest"] == b'{"name": "x"}'

    def test_values_are_set_as_they_are_whatever_is_in_them(self, program):
        asked = []

        def answer(request):
            asked.append(request.content)
            return httpx.Response(202, json={"model_id": ID})

        values = {"layers": '1,2 "x"', "lr": [0.1, 1e-05]}
        client = Client("http://127.0.0.1:1", token="t", transport=httpx.MockTransport(answer))
        client.train_all(program, {}, set=values)
        sets = re.findall(rb'name="set"\r\n\r\n(.*?)\r\n', asked[0])
        assert read_grid(part.decode() for part in sets).values == {"layers": ('1,2 "x"',), "lr": ("0.1", "1e-05")}

    def test_several_values_are_several_runs(self, client, front_door, program):
        with pytest.raises(WrongUsageError, match="several runs"):
            client.train(program, {}, set={"lr": [0.1, 0.2]})
        assert front_door.submissions == []

    def test_a_refusal_has_every_problem_also_in_its_traceback(self, client, front_door, program):
        from cli_front_door import refusal

        problem = {"message": "no name.", "hint": "Add it.", "path": "name", "code": "C101"}
        front_door.force("POST", "/v3/models", refusal(400, "C101", "1 problem", "Fix it.", (problem,)))
        with pytest.raises(TrainyardError) as refused:
            client.train(program, {})
        assert (refused.value.hint, refused.value.problems[0].path) == ("Fix it.", "name")
        assert refused.value.__notes__ == ["name: no name. Add it.", "Fix it."]

    def test_an_answer_that_is_lost_is_asked_for_again_under_the_same_key(self, program):
        keys = []

        def answer(request):
            keys.append(request.headers["Idempotency-Key"])
            return httpx.Response(502) if len(keys) == 1 else httpx.Response(202, json={"model_id": ID})

        client = Client("http://127.0.0.1:1", token="t", transport=httpx.MockTransport(answer))
        assert client.train(program, {}).id == ID
        assert len(keys) == 2
        assert len(set(keys)) == 1

    @pytest.mark.parametrize("program", ["nowhere", "nowhere.zip"])
    def test_a_program_that_is_not_there_is_wrong_usage(self, client, program):
        with pytest.raises(WrongUsageError, match="nowhere"):
            client.train(program, {})

    def test_a_submission_is_checked_without_the_service(self, client, front_door, program):
        with pytest.raises(TrainyardError) as refused:
            client.validate(program, {"name": "x"})
        assert refused.value.problems
        assert front_door.asked == []


class TestPacking:
    def test_the_same_files_make_the_same_zip_whenever_they_were_written(self, program, tmp_path):
        (program / "lib").mkdir()
        (program / "lib" / "run.sh").write_text("#!/bin/sh")
        (program / "lib" / "run.sh").chmod(0o700)
        pack(program, tmp_path / "one.zip")
        os.utime(program / "train.py", (1, 1))
        (program / "lib" / "run.sh").chmod(0o711)
        pack(program, tmp_path / "two.zip")
        assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
        entries = zipfile.ZipFile(tmp_path / "one.zip").infolist()
        assert [(entry.filename, oct(entry.external_attr >> 16)) for entry in entries] == [
            ("lib/run.sh", "0o100755"),
            ("train.py", "0o100644"),
        ]

    def test_what_cannot_be_packed_is_named(self, program, tmp_path):
        empty = tmp_path / "empty"
        empty.mkdir()
        with pytest.raises(WrongUsageError, match="has no file"):
            pack(empty, tmp_path / "x.zip")
        (program / "gone").symlink_to("nowhere")
        with pytest.raises(WrongUsageError, match="gone"):
            pack(program, tmp_path / "x.zip")
        (program / "gone").unlink()
        (program / "loop").symlink_to(program)
        with pytest.raises(WrongUsageError, match="loop is a link to a folder"):
            pack(program, tmp_path / "x.zip")

    def test_a_link_to_a_file_is_packed_as_the_file_and_a_pipe_is_left_out(self, program, tmp_path):
        (program / "again.py").symlink_to("train.py")
        os.mkfifo(program / "pipe")
        pack(program, tmp_path / "x.zip")
        archive = zipfile.ZipFile(tmp_path / "x.zip")
        assert archive.namelist() == ["again.py", "train.py"]
        assert archive.read("again.py") == archive.read("train.py")


class TestRun:
    def test_waiting_ends_when_the_run_does_and_tells_what_it_does(self, client, front_door, capsys):
        front_door.add(ID, waiting="waiting for a GPU of the account")
        front_door.looks[ID] = [{}, {}, {**_ENDED, "outcome": _OUTCOME}]
        run = client.run(ID).wait(120, progress=True)
        assert (run.state, run.outcome.exit_code) == ("completed", 0)
        assert capsys.readouterr().err == f"{ID}: waiting for a GPU of the account\n{ID}: completed\n"

    def test_waiting_has_a_limit(self, client, front_door):
        front_door.add(ID)
        with pytest.raises(TimeoutError, match="goes on after"):
            client.run(ID).wait(0.2)

    def test_waiting_outlasts_a_service_that_is_started_again(self, client, front_door):
        from cli_front_door import Answer

        front_door.add(ID, **_ENDED)
        run = client.run(ID)
        for _ in range(3):
            front_door.force("GET", ID, Answer(503, b"<html>"))
        assert run.wait(120).state == "completed"

    def test_a_run_that_has_ended_is_not_asked_for_again(self, client, front_door):
        front_door.add(ID, **_ENDED, outcome=_OUTCOME)
        run = client.run(ID)
        assert {run.state, run.state, run.phase} == {"completed", "done"}
        assert len(front_door.paths("GET")) == 2

    def test_a_log_comes_line_by_line_over_connections_that_break(self, client, front_door):
        front_door.add(ID)
        front_door.logs[ID] = [b"one\ntw", "cut", "o \N{SNOWMAN}\nlast".encode(), "completed"]
        assert list(client.run(ID).logs(follow=True)) == ["one", "two \N{SNOWMAN}", "last"]
        assert list(client.run(ID).logs(last=1)) == ["last"]

    def test_a_line_without_an_end_costs_no_more_than_its_length(self):
        begun = time.process_time()
        (line,) = lines_of([b"x" * 65536] * 2048)
        assert len(line) == 65536 * 2048
        assert time.process_time() - begun < 5

    def test_results_are_downloaded_into_a_folder(self, client, front_door, tmp_path):
        front_door.add(ID, **_ENDED)
        front_door.results[ID] = {"model/weights": b"1", "log.txt": b"2"}
        folder = client.run(ID).download(tmp_path / "here")
        assert (folder / "model" / "weights").read_bytes() == b"1"
        assert client.run(ID).download() == Path(ID)

    def test_a_run_that_goes_on_has_nothing_to_download(self, client, front_door):
        front_door.add(ID)
        with pytest.raises(TrainyardError) as refused:
            client.run(ID).download()
        assert refused.value.code.code == "C108"

    def test_it_is_canceled_and_deleted(self, client, front_door):
        front_door.add(ID)
        run = client.run(ID)
        run.cancel()
        assert front_door.bodies[-1][0]["value"] == "canceled"
        front_door.runs[ID].update(_ENDED)
        run.delete()
        with pytest.raises(TrainyardError) as gone:
            client.run(ID)
        assert gone.value.code.code == "C107"

    def test_runs_are_filtered_by_the_service(self, client, front_door):
        front_door.add(ID)
        moment = datetime(2026, 1, 31, tzinfo=UTC)
        runs = client.runs(state=["pending", "running"], name="mnist", experiment="rates", since=moment, limit=5)
        assert [type(run) for run in runs] == [Run]
        asked = httpx.QueryParams(front_door.paths("GET")[-1].partition("?")[2])
        assert asked.get_list("state") == ["pending", "running"]
        assert (asked["name"], asked["experiment"]) == ("mnist", "rates")
        assert datetime.fromisoformat(asked["since"]) == moment


class TestShowing:
    def test_a_run_shows_what_is_known_without_asking(self, client, front_door):
        front_door.add(ID, waiting="waiting for a GPU")
        run = client.run(ID)
        asked = len(front_door.asked)
        assert repr(run) == f"<Run {ID} tf-mnist pending queued waiting for a GPU>"
        assert f"<td>{ID}</td>" in run._repr_html_()
        assert len(front_door.asked) == asked

    def test_a_name_is_no_html(self, client, front_door):
        front_door.add(ID, name="<script>alert(1)</script>")
        for shown in (client.run(ID)._repr_html_(), client.runs()._repr_html_()):
            assert "<script>" not in shown
            assert "&lt;script&gt;" in shown

    def test_no_secret_is_shown(self, front_door, home):
        assert "engine" not in repr(Client(front_door.url, user="ada", password="engine"))


class _Closing(httpx.MockTransport):
    closed = False

    def close(self) -> None:
        self.closed = True


class TestClosing:
    def test_connections_are_closed_at_the_end_and_when_nobody_has_the_client_any_more(self):
        ended, forgotten = _Closing(lambda _: httpx.Response(204)), _Closing(lambda _: httpx.Response(204))
        with RestClient(Access("http://127.0.0.1:1", "t"), transport=ended):
            pass
        RestClient(Access("http://127.0.0.1:1", "t"), transport=forgotten)
        assert ended.closed
        assert forgotten.closed

    def test_ctrl_c_leaves_them_to_the_end_of_the_process(self):
        # httpcore's lock may be taken for ever when Ctrl-C strikes within it.
        transport = _Closing(lambda _: httpx.Response(204))
        with (
            pytest.raises(KeyboardInterrupt),
            RestClient(Access("http://127.0.0.1:1", "t"), transport=transport) as kept,
        ):
            raise KeyboardInterrupt
        assert kept
        assert not transport.closed


class TestReading:
    def _run_of(self, data):
        transport = httpx.MockTransport(lambda _: httpx.Response(200, json=data))
        return RestClient(Access("http://127.0.0.1:1", "t"), transport=transport).run(ID)

    def test_what_a_newer_service_tells_besides_is_kept_and_disturbs_nothing(self):
        data = {"model_id": ID, "state": "dreaming", "phase": "asleep", "mood": {"good": True}, "outcome": {"x": 1}}
        found = self._run_of(data)
        assert (found.state, found.ended, found.as_data()) == ("dreaming", False, data)

    def test_what_an_older_service_does_not_tell_has_its_default(self):
        found = self._run_of({"model_id": ID, "state": "running"})
        assert (found.experiment, found.overrides, found.transfer) == ("", {}, None)

    @pytest.mark.parametrize("data", [{}, [], {"model_id": ID}, {"model_id": 7, "state": []}, None])
    def test_what_is_no_run_at_all_is_no_service_of_ours(self, data):
        with pytest.raises(UnreachableError, match="no Trainyard service"):
            self._run_of(data)
