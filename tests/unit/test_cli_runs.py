"""`trainyard list`, `show`, `delete`, `cancel` and `logs`."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from trainyard.domain.states import Phase

pytest_plugins = ["cli_front_door"]

ID = "training-DOl4q2LkR"
OTHER = "training-Xz81mQ0aB"
OUTCOME = {
    "code": "C201",
    "fault": "client",
    "message": "the program ended with exit code 3",
    "hint": "Look at its log: `trainyard logs`.",
    "exit_code": 3,
    "gpu_seconds": 12.5,
}
COMPLETED = {"code": None, "message": "", "hint": "", "exit_code": 0}


class TestList:
    @pytest.mark.parametrize("words", [["list", "trained-models"], ["list", "training-runs"]])
    def test_list_prints_what_the_2017_service_printed(self, cli, front_door, words):
        front_door.add(ID)
        done = cli(*words)
        assert done.out == (
            "Fetching the list of trained models ...\n"
            "SI No   Name                       guid                 status    submitted-at\n"
            "1       tf-mnist                   training-DOl4q2LkR   pending   2017-10-26T11:16:51Z\n"
            "\n"
            "1 records found.\n"
            "OK\n"
            "List all trained-models successful\n"
        )
        assert (done.code, done.err) == (0, "")

    def test_no_run_is_an_empty_table(self, cli, front_door):
        done = cli("list")
        assert "\n\n0 records found.\nOK\n" in done.out

    def test_runs_stand_in_the_order_of_their_submission_with_the_newest_last(self, cli, front_door):
        front_door.add("training-newest001", submitted_at="2017-10-27T00:00:00Z")
        front_door.add("training-oldest001", submitted_at="2017-10-25T00:00:00Z")
        lines = cli("list", "trained-models").out.splitlines()
        assert lines[2].startswith("1 ")
        assert "training-oldest001" in lines[2]
        assert "training-newest001" in lines[3]

    def test_columns_align_whatever_the_names_and_states(self, cli, front_door):
        from trainyard.cli.columns import cells

        front_door.add("training-000000001", name="手書き文字の認識", state="completed")
        front_door.add("training-000000002", name="a name that is longer than the column was in 2017")
        front_door.add("training-000000003", name="e\u0301" * 30, state="canceled")
        header, *rows = cli("list", "trained-models").out.splitlines()[1:5]
        for title, start in (("guid", "training-0"), ("submitted-at", "2017-10-26")):
            places = {cells(row[: row.index(start)]) for row in rows}
            assert places == {cells(header[: header.index(title)])}

    def test_a_name_cannot_steer_the_terminal_of_who_lists_it(self, cli, front_door):
        front_door.add(ID, name="\x1b]0;owned\x07\r\nevil")
        out = cli("list").out
        assert "\\x1b]0;owned\\x07\\r\\nevil" in out
        assert "\x1b" not in out

    def test_all_pages_are_fetched_and_no_run_twice(self, cli, front_door):
        front_door.page_most = 3
        for number in range(10):
            front_door.add(f"training-{number:09d}")
        done = cli("list", "--output", "json")
        assert [run["model_id"] for run in done.data["resources"]] == [f"training-{n:09d}" for n in range(10)]
        assert done.data["total"] == 10

    def test_filters_are_the_services_to_apply(self, cli, front_door):
        words = ["--name", "mni", "--experiment", "lr", "--framework", "tensorflow", "--since", "2026-01-31"]
        cli("list", "--state", "error,Canceled", *words)
        (asked,) = front_door.paths("GET")
        assert parse_qs(urlsplit(asked).query) == {
            "state": ["error", "canceled"],
            "name": ["mni"],
            "experiment": ["lr"],
            "framework": ["tensorflow"],
            "since": ["2026-01-31T00:00:00+00:00"],
            "limit": ["500"],
            "offset": ["0"],
        }

    def test_a_limit_leaves_the_newest(self, cli, front_door):
        for number in range(7):
            front_door.add(f"training-{number:09d}", submitted_at=f"2017-10-26T11:16:5{number}Z")
        found = cli("list", "--limit", "2", "-o", "json").data["resources"]
        assert [run["model_id"] for run in found] == ["training-000000005", "training-000000006"]

    @pytest.mark.parametrize(
        "words", [["--state", "broken"], ["--since", "soon"], ["--limit", "-1"], ["frameworks", "--watch"]]
    )
    def test_a_filter_that_cannot_be_is_wrong_usage(self, cli, front_door, words):
        assert cli("list", *words).code == 2
        assert front_door.asked == []

    def test_frameworks_are_listed_too(self, cli):
        done = cli("list", "frameworks")
        assert done.code == 0
        assert "1       torch   lua52     th            torch:lua52\n" in done.out

    def test_frameworks_as_json(self, cli):
        assert cli("list", "frameworks", "-o", "json").data["resources"][0]["name"] == "torch"

    def test_another_word_is_wrong_usage_that_names_the_good_ones(self, cli):
        done = cli("list", "experts")
        assert done.code == 2
        assert "trained-models, training-runs, frameworks" in done.err


class TestShow:
    @pytest.mark.parametrize("words", [["show"], ["show", "trained-models"], ["show", "training-runs"]])
    def test_show_of_a_run_that_trains_prints_what_the_2017_service_printed_line_by_line(self, cli, front_door, words):
        front_door.add(ID, state="running", phase="training", submitted_at="2017-10-26T11:10:37Z")
        done = cli(*words, ID)
        assert done.out == (
            "Fetching the trained model details with MODEL-ID 'training-DOl4q2LkR' ...\n"
            "ModelId        training-DOl4q2LkR\n"
            "url            /v3/models/training-DOl4q2LkR\n"
            "Name           tf-mnist\n"
            "State          running\n"
            "Submitted_at   2017-10-26T11:10:37Z\n"
            "OK\n"
            "Show trained-models details successful\n"
            f"The run's page is {front_door.url}/trainyard/runs/{ID}\n"
        )
        assert (done.code, done.err) == (0, "")

    @pytest.mark.parametrize("phase", [phase for phase in Phase if phase.state])
    def test_all_that_is_told_besides_stands_behind_the_lines_of_2017(self, cli, front_door, phase):
        changes = {"waiting": "waiting for something", "overrides": {"lr": 0.1}, "outcome": OUTCOME}
        front_door.add(ID, state=phase.state, phase=phase, **changes)
        labels = [line.split()[0] for line in cli("show", ID).out.splitlines()]
        assert labels[1:6] == ["ModelId", "url", "Name", "State", "Submitted_at"]
        assert labels[6:-3] == ["Phase", "Overrides", "Reason", "Hint", "Exit_code", "GPU_seconds"]

    def test_a_run_whose_pod_was_replaced_says_what_it_waits_for(self, cli, front_door):
        front_door.add(ID, state="running", phase="training", waiting="its pod was replaced: waiting for 2 GPUs")
        assert "Phase          training: its pod was replaced: waiting for 2 GPUs\nOK\n" in cli("show", ID).out

    def test_a_failed_run_tells_reason_hint_and_exit_code(self, cli, front_door):
        front_door.add(ID, state="error", phase="done", outcome=OUTCOME)
        assert (
            "Submitted_at   2017-10-26T11:16:51Z\n"
            "Reason         the program ended with exit code 3 (C201)\n"
            "Hint           Look at its log: `trainyard logs`.\n"
            "Exit_code      3\n"
            "GPU_seconds    12.5\n"
            "OK\n"
        ) in cli("show", ID).out

    def test_a_reason_of_several_lines_stays_in_its_column(self, cli, front_door):
        ended = {"state": "error", "phase": "done"}
        front_door.add(ID, **ended, outcome={**OUTCOME, "message": "one\ntwo", "hint": "", "exit_code": None})
        assert "Reason         one\n               two (C201)\nGPU_seconds" in cli("show", ID).out

    def test_a_completed_run_has_the_rows_of_2017_and_what_it_took_of_gpus(self, cli, front_door):
        front_door.add(ID, state="completed", phase="done", outcome={**OUTCOME, **COMPLETED})
        assert "Submitted_at   2017-10-26T11:16:51Z\nGPU_seconds    12.5\nOK\n" in cli("show", ID).out

    def test_a_completed_run_says_what_it_warns_of(self, cli, front_door):
        warned = {**COMPLETED, "message": "the command ended before 1 of its processes (sleep 60)"}
        front_door.add(ID, state="completed", phase="done", outcome={**OUTCOME, **warned})
        assert "\nWarning        the command ended before 1 of its processes (sleep 60)\nGPU_sec" in cli("show", ID).out

    def test_a_completed_run_without_a_gpu_has_no_more_rows_than_in_2017(self, cli, front_door):
        ended = {**COMPLETED, "gpu_seconds": 0.0}
        front_door.add(ID, state="completed", phase="done", outcome={**OUTCOME, **ended})
        assert "Submitted_at   2017-10-26T11:16:51Z\nOK\n" in cli("show", ID).out

    def test_files_that_were_not_stored_are_listed_with_their_reasons(self, cli, front_door):
        file = {"name": "result/\x1b[31mlatest", "reason": "is a link that leads out of the run's folders"}
        front_door.add(ID, state="completed", left_out={"count": 30, "files": [file, file]})
        shown = cli("show", ID).out
        assert "latest is a link that leads out of the run's folders\n" in shown
        assert "               30 files are not stored: learner-1/store-results.log" in shown
        assert "\x1b" not in shown

    @pytest.mark.parametrize("left_out", [None, {}, {"count": 0, "files": []}, 7])
    def test_a_run_without_such_files_has_no_row_for_them(self, cli, front_door, left_out):
        front_door.add(ID, state="completed", left_out=left_out)
        assert "Left_out" not in cli("show", ID).out

    def test_a_run_that_is_tracked_says_where_or_warns(self, cli, front_door):
        where = {"connection": "team-mlflow", "experiment_id": "3", "run_id": "abc", "warning": ""}
        front_door.add(ID, state="completed", tracked=where)
        assert "MLflow         team-mlflow: experiment 3, run abc\n" in cli("show", ID).out
        front_door.add(ID, state="completed", tracked={"connection": "a", "warning": "MLflow (a) is\x1b[31m away"})
        shown = cli("show", ID).out
        assert "Warning        MLflow (a) is" in shown
        assert "\x1b" not in shown

    @pytest.mark.parametrize("tracked", [None, {}, 7])
    def test_a_run_that_is_not_tracked_has_no_row_for_it(self, cli, front_door, tracked):
        front_door.add(ID, state="completed", tracked=tracked)
        assert "MLflow" not in cli("show", ID).out

    def test_a_run_that_waits_says_for_what(self, cli, front_door):
        front_door.add(ID, phase="waiting-for-gpu", waiting="waiting for 2 GPUs")
        assert "Phase          waiting-for-gpu: waiting for 2 GPUs\nOK\n" in cli("show", ID).out

    @pytest.mark.parametrize(
        ("found", "line"),
        [
            (
                {"listed": True, "rate": 2_097_152.7, "seconds_left": 11.6},
                "downloading 12 of 2000 files, 3.0 MiB of 40.0 MiB, 2.0 MiB/s, 12 s left",
            ),
            (
                {"listed": False, "rate": 0.0, "seconds_left": None},
                "downloading 12 of 2000+ files, 3.0 MiB of 40.0 MiB+, 0 B/s",
            ),
        ],
    )
    def test_a_run_whose_data_moves_says_how_far_it_is(self, cli, front_door, found, line):
        moved = {"doing": "downloading", "files": 12, "files_total": 2000, "bytes": 3 << 20, "bytes_total": 40 << 20}
        front_door.add(ID, phase="staging", transfer={**moved, **found})
        assert f"Transfer       {line}\nOK\n" in cli("show", ID).out

    def test_json_is_the_run_itself_and_the_address_of_its_page(self, cli, front_door):
        run = front_door.add(ID, state="error", outcome=OUTCOME)
        page = f"{front_door.url}/trainyard/runs/{ID}"
        assert cli("show", ID, "--output=json").data == {**run, "page": page}

    def test_an_unknown_run_is_code_1_with_the_service_s_words(self, cli):
        done = cli("show", "training-unknown01")
        assert done.code == 1
        assert done.err == "error C107: there is no such run\n  hint: `trainyard list` shows the runs.\n"

    def test_an_id_cannot_leave_its_place_in_the_path(self, cli, front_door):
        cli("show", "../frameworks?x=1#y")
        (asked,) = front_door.paths("GET")
        assert asked.startswith("/v3/models?match=..%2Fframeworks%3Fx%3D1%23y&")

    def test_several_are_shown_one_below_the_other(self, cli, front_door):
        front_door.add(ID)
        front_door.add(OTHER)
        done = cli("show", ID, "aB", ID)
        assert [line.split()[1] for line in done.out.splitlines() if line.startswith("ModelId")] == [ID, OTHER]
        assert f"aB is {OTHER}" in done.err
        assert [run["model_id"] for run in cli("show", ID, OTHER, "-o", "json").data["resources"]] == [ID, OTHER]

    @pytest.mark.parametrize("word", ["", ".", ".."])
    def test_what_is_no_id_at_all_is_wrong_usage(self, cli, front_door, word):
        assert cli("show", word).code == 2
        assert front_door.asked == []


_UNTIL = "2017-10-27T11:16:51Z"


class TestUndelete:
    def test_a_deleted_run_is_listed_apart_shown_and_brought_back(self, cli, front_door):
        front_door.add(ID, state="completed", phase="done", deleted_at="2017-10-26T11:16:51Z", deleted_until=_UNTIL)
        assert f"`trainyard undelete {ID}` brings it back until {_UNTIL}" in cli("delete", ID).err
        assert ID not in cli("list").out
        listed = cli("list", "--deleted")
        assert (ID in listed.out, _UNTIL in listed.out) == (True, True)
        assert cli("show", ID).code == 1
        shown = cli("show", "--deleted", ID).out
        assert f"Deleted_at     2017-10-26T11:16:51Z, can be brought back until {_UNTIL}" in shown
        assert cli("undelete", ID[-5:], "-o", "json").data["model_id"] == ID
        assert ID in cli("list").out

    def test_at_once_nothing_is_said_of_bringing_back(self, cli, front_door):
        front_door.add(ID, state="completed", phase="done")
        assert cli("delete", "--now", ID).err == ""
        assert front_door.paths("DELETE") == [f"/v3/models/{ID}?now=true"]

    def test_hundreds_go_with_their_experiment(self, cli, front_door):
        for number in range(300):
            front_door.add(f"training-{number:09d}", state="completed", phase="done", experiment="rates")
        front_door.add(ID, state="completed", phase="done", experiment="others")
        done = cli("delete", "--experiment", "rates", "--yes", "-o", "json")
        assert (done.code, done.data["total"], set(front_door.runs)) == (0, 300, {ID})
        assert cli("delete").code == cli("delete", ID, "--experiment", "rates").code == 2


class TestDelete:
    @pytest.mark.parametrize("words", [["delete"], ["delete", "trained-models"], ["delete", "training-runs"]])
    def test_delete_prints_what_the_2017_service_printed(self, cli, front_door, words):
        front_door.add(ID, state="completed")
        done = cli(*words, ID)
        assert done.out == (
            "Deleting the trained model 'training-DOl4q2LkR' ...\nOK\nDelete trained-models successful\n"
        )
        assert (done.code, front_door.runs) == (0, {})

    def test_a_going_run_is_refused_where_nobody_can_be_asked(self, cli, front_door):
        front_door.add(ID, state="running")
        done = cli("delete", ID)
        assert done.code == 2
        assert "--yes" in done.err
        assert ID in front_door.runs
        assert front_door.paths("PATCH") == []

    def test_with_yes_a_going_run_is_stopped_waited_for_and_deleted(self, cli, front_door):
        front_door.add(ID, state="running")
        front_door.deletes_before_end = 2
        done = cli("delete", ID, "--yes")
        assert (done.code, front_door.runs) == (0, {})
        assert front_door.bodies == [[{"op": "replace", "path": "/status/state", "value": "canceled"}]]
        assert done.out.endswith("OK\nDelete trained-models successful\n")

    def test_a_run_that_ends_while_it_is_being_stopped_is_deleted_all_the_same(self, cli, front_door):
        from cli_front_door import refusal

        run = front_door.add(ID, state="running")
        front_door.force("PATCH", ID, refusal(409, "C108", "it has ended already"))
        front_door.force("DELETE", ID, refusal(409, "C108", "it is still going"))
        run["state"] = "completed"
        assert cli("delete", ID, "-y").code == 0
        assert front_door.runs == {}

    def test_a_run_that_does_not_stop_in_time_is_code_1_and_told_how_to_go_on(self, cli, front_door):
        front_door.add(ID, state="running")
        front_door.deletes_before_end = 10**9
        done = cli("delete", ID, "--yes", "--timeout", "0.1")
        assert done.code == 1
        assert "has not ended in 0.1 seconds" in done.err
        assert f"trainyard delete {ID}" in done.err

    def test_a_time_that_is_no_number_is_wrong_usage(self, cli, front_door):
        assert cli("delete", ID, "--timeout", "soon").code == 2
        assert front_door.asked == []

    def test_json_says_whether_the_run_had_to_be_stopped(self, cli, front_door):
        front_door.add(ID, state="running")
        done = cli("delete", ID, "--yes", "-o", "json")
        assert done.data == {"model_id": ID, "deleted": True, "stopped": True, "until": _UNTIL}

    def test_a_service_that_starts_again_meanwhile_is_waited_for(self, cli, front_door):
        from cli_front_door import Answer, refusal

        front_door.add(ID, state="running")
        front_door.force("DELETE", ID, refusal(409, "C108", "it is still going"))
        front_door.force("DELETE", ID, Answer(503, b"starting", "text/plain"))
        assert cli("delete", ID, "--yes").code == 0
        assert front_door.runs == {}


class TestCancel:
    def test_cancel_asks_the_service_and_prints_the_state(self, cli, front_door):
        front_door.add(ID, state="running")
        done = cli("cancel", ID)
        assert done.out == (
            f"Canceling the trained model '{ID}' ...\nState          running\nOK\nCancel trained-models successful\n"
        )
        assert front_door.bodies == [[{"op": "replace", "path": "/status/state", "value": "canceled"}]]

    def test_a_run_that_has_ended_cannot_be_canceled(self, cli, front_door):
        front_door.add(ID, state="completed")
        done = cli("cancel", "training-runs", ID)
        assert done.code == 1
        assert "error C108: it has ended already" in done.err


class TestLogs:
    def test_the_log_is_passed_on_byte_for_byte(self, front_door, cli):
        front_door.add(ID)
        front_door.logs[ID] = [b"\x1b[32m50%\r", b"100%\xc3", b"\xa9 no newline"]
        assert cli("logs", ID).out.encode() == b"\x1b[32m50%\r100%\xc3\xa9 no newline"

    def test_follow_survives_a_broken_connection_without_losing_or_repeating(self, cli, front_door):
        front_door.add(ID, state="running")
        front_door.logs[ID] = [b"one\n", b"two\n", "cut", b"three\n", "cut", b"four\n", "completed"]
        done = cli("logs", "--follow", ID)
        assert done.out == "one\ntwo\nthree\nfour\n"
        asked = [path.partition("/logs?")[2] for path in front_door.paths("GET") if "/logs" in path]
        assert asked == ["follow=true", "follow=true&offset=8", "follow=true&offset=14"]

    def test_following_tells_once_what_the_run_waits_for_beside_the_log(self, cli, front_door):
        front_door.add(ID, waiting="bringing the training data")
        front_door.logs[ID] = [{"waiting": "waiting for 1 GPU"}, {"waiting": None}, b"epoch 1\n"]
        done = cli("logs", "-f", ID)
        assert done.out == "epoch 1\n"
        assert done.err == f"{ID}: bringing the training data\n{ID}: waiting for 1 GPU\n"

    @pytest.mark.parametrize("follow", [[], ["--follow"]])
    def test_only_the_last_lines_may_be_asked_for(self, cli, front_door, follow):
        front_door.add(ID, state="running")
        front_door.logs[ID] = [b"one\ntwo\nthree\n", "cut", b"four\n"] if follow else [b"one\ntwo\nthree\nfour\n"]
        assert cli("logs", ID, "--last", "2", *follow).out == "three\nfour\n"

    def test_last_lines_that_are_no_number_are_wrong_usage(self, cli, front_door):
        assert cli("logs", ID, "-n", "many").code == 2
        assert front_door.asked == []

    def test_a_run_that_has_written_nothing_is_said_to_have_written_nothing(self, cli, front_door):
        front_door.add(ID)
        done = cli("logs", ID)
        assert (done.code, done.out) == (0, "")
        assert done.err == f"note: {ID} is pending and has written nothing so far\n"

    def test_json_holds_the_whole_log(self, cli, front_door):
        front_door.add(ID)
        front_door.logs[ID] = [b"epoch 1\n", b"\xff\n"]
        assert cli("logs", ID, "-o", "json").data == {"model_id": ID, "log": "epoch 1\n\ufffd\n"}

    def test_the_log_of_an_unknown_run_is_an_error_and_not_a_log(self, cli):
        done = cli("logs", "trained-models", ID, "-f")
        assert (done.code, done.out) == (1, "")
        assert "error C107" in done.err
