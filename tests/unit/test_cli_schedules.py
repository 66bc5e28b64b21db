"""`trainyard schedules`, `pause`, `resume` and `unschedule`, and the schedule in `show`."""

from __future__ import annotations

import pytest

pytest_plugins = ["cli_front_door"]

ID = "training-DOl4q2LkR"
OTHER = "training-aaaaaaaa1"
NEW_DATA = {"schedule": "new data", "every_seconds": 3600, "overlap": None}


def patch(state: str) -> list[dict[str, str]]:
    return [{"op": "replace", "path": "/state", "value": state}]


class TestList:
    def test_schedules_are_a_table_like_that_of_the_runs(self, cli, front_door):
        front_door.schedule(ID)
        note = "the data is as it was when it was trained last"
        front_door.schedule(OTHER, **NEW_DATA, name="digits", state="paused", next_at=None, last_run=None, note=note)
        done = cli("schedules")
        blanks = " " * 23
        assert done.out.splitlines() == [
            "Fetching the list of schedules ...",
            f"SI No   Name{blanks}guid                 schedule                   status   next-at"
            "                last-run             note",
            f"1       tf-mnist{blanks[4:]}training-DOl4q2LkR   30 2 * * * Europe/Berlin   active   2027-01-02T01:30:00Z"
            "   training-DOl4q2LkR",
            f"2       digits{blanks[2:]}training-aaaaaaaa1   new data, every 1h         paused   "
            f"                                            {note}",
            "",
            "2 records found.",
            "OK",
            "List all schedules successful",
        ]
        assert (done.code, done.err) == (0, "")

    def test_no_schedule_is_an_empty_table(self, cli):
        assert "\n\n0 records found.\nOK\n" in cli("schedules").out

    def test_ended_ones_are_hidden_and_counted(self, cli, front_door):
        front_door.schedule(ID)
        front_door.schedule(OTHER, state="ended", next_at=None)
        out = cli("schedules").out
        assert OTHER not in out
        assert "1 records found.\n1 more have ended; --all shows them.\nOK\n" in out

    @pytest.mark.parametrize("option", ["--all", "-a"])
    def test_all_shows_the_ended_ones_too(self, cli, front_door, option):
        front_door.schedule(ID, state="ended", next_at=None)
        out = cli("schedules", option).out
        assert "ended" in out.splitlines()[2]
        assert "1 records found.\nOK\n" in out

    def test_json_is_what_the_service_answers(self, cli, front_door):
        shown = front_door.schedule(ID)
        front_door.schedule(OTHER, state="ended")
        assert cli("schedules", "-o", "json").data == {"resources": [shown], "total": 1}
        assert cli("schedules", "--all", "-o", "json").data["total"] == 2

    def test_all_pages_are_fetched_in_the_services_order(self, cli, front_door):
        front_door.page_most = 3
        ids = [f"training-{number:09d}" for number in (5, 3, 8, 1, 9, 2, 7)]
        for training_id in ids:
            front_door.schedule(training_id)
        found = cli("schedules", "-o", "json").data["resources"]
        assert [schedule["training_id"] for schedule in found] == ids

    @pytest.mark.parametrize(
        ("seconds", "text"), [(60, "1m"), (90, "90s"), (900, "15m"), (86400, "1d"), (90000, "25h"), (2592000, "30d")]
    )
    def test_the_time_between_two_looks_is_told_in_its_largest_whole_unit(self, cli, front_door, seconds, text):
        front_door.schedule(ID, **{**NEW_DATA, "every_seconds": seconds})
        assert f"   new data, every {text}   " in cli("schedules").out

    def test_a_name_or_note_cannot_steer_the_terminal_of_who_lists_it(self, cli, front_door):
        front_door.schedule(ID, name="\x1b]0;owned\x07", note="\x1b[2J")
        assert "\x1b" not in cli("schedules").out


class TestPauseAndResume:
    @pytest.mark.parametrize("words", [["pause"], ["pause", "trained-models"], ["pause", "training-runs"]])
    def test_a_schedule_is_paused(self, cli, front_door, words):
        front_door.schedule(ID)
        done = cli(*words, ID)
        assert done.out == (
            f"Pausing the schedule of '{ID}' ...\nState          paused\nOK\nPause schedule successful\n"
        )
        assert (done.code, front_door.bodies) == (0, [patch("paused")])

    def test_a_schedule_is_resumed_and_tells_when_it_is_due_next(self, cli, front_door):
        front_door.schedule(ID, state="paused")
        done = cli("resume", ID)
        assert done.out == (
            f"Resuming the schedule of '{ID}' ...\n"
            "State          active\nNext_at        2027-01-02T01:30:00Z\nOK\nResume schedule successful\n"
        )
        assert (done.code, front_door.bodies) == (0, [patch("active")])

    @pytest.mark.parametrize("words", [["pause"], ["resume"], ["unschedule", "--yes"]])
    def test_json_is_the_schedule(self, cli, front_door, words):
        front_door.schedule(ID)
        assert cli(*words, ID, "-o", "json").data == front_door.schedules[ID]

    @pytest.mark.parametrize("words", [["pause"], ["resume"], ["unschedule", "--yes"], ["unschedule"]])
    def test_an_unknown_id_is_refused_with_where_to_find_the_right_one(self, cli, words):
        done = cli(*words, ID)
        assert done.code == 1
        assert f"error C107: there is no schedule of {ID}" in done.err
        assert "trainyard schedules" in done.err
        assert "the id of its first run" in done.err

    @pytest.mark.parametrize("words", [["pause"], ["resume"], ["unschedule", "--yes"], ["unschedule"]])
    def test_an_ended_schedule_is_refused(self, cli, front_door, words):
        front_door.schedule(ID, state="ended")
        done = cli(*words, ID)
        assert done.code == 1
        assert "error C111: " in done.err
        assert "Submit the training again." in done.err

    @pytest.mark.parametrize("command", ["pause", "resume", "unschedule"])
    @pytest.mark.parametrize("words", [[], ["."], [""], [ID, OTHER]])
    def test_one_id_is_wanted(self, cli, front_door, command, words):
        assert cli(command, *words).code == 2
        assert front_door.asked == []


class TestUnschedule:
    def test_with_yes_it_is_ended_without_a_question(self, cli, front_door):
        front_door.schedule(ID)
        done = cli("unschedule", ID, "--yes")
        assert done.out == f"Ending the schedule of '{ID}' ...\nState          ended\nOK\nEnd schedule successful\n"
        assert (done.code, done.err, front_door.bodies) == (0, "", [patch("ended")])
        assert front_door.paths("GET") == []

    def test_where_nobody_can_be_asked_it_is_wrong_usage(self, cli, front_door):
        front_door.schedule(ID)
        done = cli("unschedule", ID, stdin=b"y\n")
        assert done.code == 2
        assert "--yes" in done.err
        assert front_door.schedules[ID]["state"] == "active"

    @pytest.mark.parametrize(("answer", "code", "state"), [("y\n", 0, "ended"), ("\n", 1, "active")])
    def test_a_person_is_asked_first(self, terminal, front_door, answer, code, state):
        front_door.schedule(ID)
        process = terminal("unschedule", ID)
        process.wait_for("End that of 'tf-mnist' (30 2 * * * Europe/Berlin)? [y/N] ")
        assert front_door.bodies == []
        process.type(answer)
        assert process.end() == code
        assert front_door.schedules[ID]["state"] == state


class TestShow:
    def _line(self, cli, front_door, **changes):
        schedule = {
            "training_id": ID,
            "schedule": "30 2 * * * Europe/Berlin",
            "state": "active",
            "next_at": "2027-01-02T01:30:00Z",
            **changes,
        }
        front_door.add(ID, schedule=schedule)
        return next(line for line in cli("show", ID).out.splitlines() if line.startswith("Schedule "))

    def test_show_tells_when_the_training_is_trained_again(self, cli, front_door):
        line = self._line(cli, front_door)
        assert line == "Schedule       30 2 * * * Europe/Berlin, next at 2027-01-02T01:30:00Z"

    def test_show_tells_that_a_schedule_is_paused(self, cli, front_door):
        line = self._line(cli, front_door, state="paused", next_at=None)
        assert line == "Schedule       30 2 * * * Europe/Berlin, paused"

    def test_show_of_a_later_run_names_the_training_that_the_schedule_goes_by(self, cli, front_door):
        assert self._line(cli, front_door, training_id=OTHER).endswith(f"Z (of {OTHER})")

    @pytest.mark.parametrize("changes", [{}, {"schedule": None}])
    def test_show_says_nothing_where_there_is_none(self, cli, front_door, changes):
        front_door.add(ID, **changes)
        assert "Schedule" not in cli("show", ID).out
