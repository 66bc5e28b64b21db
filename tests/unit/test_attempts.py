"""The pods that a run has had."""

from __future__ import annotations

from pathlib import Path

from trainyard.workspace.attempts import Attempts
from trainyard.workspace.layout import RunFolder


def test_a_run_without_a_pod_has_had_no_attempt(tmp_path: Path) -> None:
    attempts = Attempts(RunFolder(tmp_path), round=7, most=1)
    assert (attempts.last, attempts.spent) == (0, False)


def test_each_is_counted_once_by_whoever_notes_it(tmp_path: Path) -> None:
    for _ in range(2):
        attempts = Attempts(RunFolder(tmp_path), round=7, most=2)
        attempts.note(1)
        assert (attempts.last, attempts.spent) == (1, False)
    attempts.note(2)
    assert (attempts.last, attempts.spent) == (2, True)


def test_a_new_round_has_its_own_attempts_and_goes_on_with_the_numbers(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    Attempts(run, round=7, most=1).note(1)
    again = Attempts(run, round=9, most=1)
    assert (again.last, again.spent) == (1, False)
    again.note(1)
    assert not again.spent
    again.note(2)
    assert (again.last, again.spent) == (2, True)
