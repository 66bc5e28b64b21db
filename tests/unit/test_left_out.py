"""What was left out of a run's files, as it travels."""

from __future__ import annotations

import json

from trainyard.domain.leftout import MOST, LeftOut, left_out_json, read_left_out


def test_it_comes_back_as_it_was() -> None:
    told = left_out_json([LeftOut("result/a", "is a link to nothing")])
    assert read_left_out(json.loads(json.dumps(told))) == told


def test_however_many_files_there_are_a_few_are_told_and_all_are_counted() -> None:
    told = left_out_json([LeftOut(f"result/{number}" + "x" * 5000, "is a pipe, no file") for number in range(10_000)])
    assert (told["count"], len(told["files"])) == (10_000, MOST)
    assert len(json.dumps(told)) < 16 * 1024


def test_nothing_left_out_is_nothing_to_tell() -> None:
    assert read_left_out(left_out_json([])) is None
