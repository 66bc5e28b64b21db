"""What Tab offers: runs, experiments, states, and nothing where there is no answer."""

from __future__ import annotations

import pytest

from trainyard.cli import completing
from trainyard.cli.main import main

pytest_plugins = ["cli_front_door"]

_IDS = ("training-6fgttnwJr", "training-DOl4q2LkR")


@pytest.fixture
def two_runs(front_door, cli):
    front_door.add(_IDS[0], name="digits", experiment="rates", submitted_at="2026-01-01T00:00:00Z")
    front_door.add(_IDS[1], name="tf-mnist", experiment="", submitted_at="2026-01-02T00:00:00Z")
    return front_door


def _words(offered):
    return [word for word, _ in offered]


class TestRuns:
    def test_the_newest_are_offered_first_by_their_ids(self, two_runs):
        assert _words(completing.run_words("")) == [_IDS[1], _IDS[0], "@last"]
        assert _words(completing.run_words("training-6")) == [_IDS[0]]

    def test_a_part_of_an_id_and_a_name_go_on_too(self, two_runs):
        assert _words(completing.run_words("6f")) == ["6fgttnwJr"]
        assert completing.run_words("dig") == [("digits", _IDS[0])]

    def test_a_name_with_a_line_end_or_an_escape_is_not_offered(self, two_runs):
        two_runs.add("training-aaaaaaaaa", name="evil\nrm -rf x\x1b[0m")
        assert _words(completing.run_words("evil")) == []
        assert dict(completing.run_words("training-a")) == {"training-aaaaaaaaa": ""}


class TestOthers:
    def test_experiments_are_offered_once(self, two_runs):
        two_runs.add("training-bbbbbbbbb", experiment="rates")
        assert _words(completing.experiment_words("")) == ["rates"]

    def test_states_are_offered_behind_a_comma_too(self):
        assert completing.state_words("can") == ["canceled"]
        assert completing.state_words("error,can") == ["error,canceled"]


class TestNoAnswer:
    def test_of_no_service_nothing_is_offered_and_nothing_said(self, home, capfd):
        assert _words(completing.run_words("")) == ["@last"]
        assert capfd.readouterr() == ("", "")

    def test_a_refusal_is_not_shown(self, two_runs, monkeypatch, capsysbinary):
        monkeypatch.setenv("TRAINYARD_TOKEN", "wrong")
        assert completing.experiment_words("") == []
        assert capsysbinary.readouterr() == (b"", b"")

    def test_a_service_that_does_not_answer_is_not_waited_for(self, two_runs, monkeypatch):
        monkeypatch.setattr(completing, "_SECONDS", 0.1)
        two_runs.hold = "GET"
        assert completing.experiment_words("") == []
        two_runs.held.set()


def test_the_shell_is_given_what_goes_on_from_the_word(two_runs, monkeypatch, capsysbinary):
    for name, value in (("", "complete_bash"), ("WORDS", "trainyard show training-6"), ("CWORD", "2")):
        monkeypatch.setenv(f"COMP_{name}" if name else "_TRAINYARD_COMPLETE", value)
    with pytest.raises(SystemExit):
        main([])
    assert capsysbinary.readouterr().out.split() == [_IDS[0].encode()]
