"""What was left out of a run's files, as it travels."""

from __future__ import annotations

import json

from trainyard.domain.leftout import MAX_LISTED, LeftOut, left_out_json, read_left_out


def test_it_comes_back_as_it_was() -> None:
    reported = left_out_json([LeftOut("result/a", "is a link to nothing")])
    assert read_left_out(json.loads(json.dumps(reported))) == reported


def test_however_many_files_there_are_a_few_are_told_and_all_are_counted() -> None:
    reported = left_out_json(
        [LeftOut(f"result/{number}" + "x" * 5000, "is a pipe, no file") for number in range(10_000)]
    )
    assert (reported["count"], len(reported["files"])) == (10_000, MAX_LISTED)
    assert len(json.dumps(reported)) < 16 * 1024


def test_nothing_left_out_is_nothing_to_tell() -> None:
    assert read_left_out(left_out_json([])) is None
