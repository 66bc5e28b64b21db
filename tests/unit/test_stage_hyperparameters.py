"""A run's hyperparameters lie in config.json beside its program, unless the zip brings a file of that name."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from stepsbench import Bench

from trainyard.domain.search import Choices, Goal, SearchSpec

VALUES = {"lr": 0.001, "epochs": 3, "nesterov": True, "note": "größer $(x)"}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.spec = replace(bench.spec, hyperparameters=VALUES)
    return bench


def _log(bench: Bench) -> str:
    return (bench.run.logs / "learner-1" / "load-model.log").read_text()


def test_the_program_finds_them_with_their_types(bench: Bench) -> None:
    bench.stage()
    config = bench.run.model / "config.json"
    assert json.loads(config.read_text("utf-8")) == VALUES
    assert config.stat().st_mode & 0o444 == 0o444
    assert _log(bench).startswith("2 files, ")
    assert _log(bench).endswith("\n4 hyperparameters in config.json\n")


def test_a_file_of_the_zip_is_kept_and_the_log_says_so(bench: Bench) -> None:
    with zipfile.ZipFile(bench.zip_path, "a") as archive:
        archive.writestr("config.json", '{"own": 1}')
    bench.stage()
    assert (bench.run.model / "config.json").read_text() == '{"own": 1}'
    assert "config.json of the zip is kept" in _log(bench)


def _searched(bench: Bench, text: str) -> str:
    """Stage a run of a search whose zip brings a config.json; return what its program finds there."""
    bench.spec = replace(bench.spec, search=SearchSpec("loss", Goal.MINIMIZE, 4, {"lr": Choices((0.001, 0.01))}))
    with zipfile.ZipFile(bench.zip_path, "a") as archive:
        archive.writestr("config.json", text)
    bench.stage()
    return (bench.run.model / "config.json").read_text("utf-8")


def test_a_search_puts_the_values_of_each_run_into_the_map_that_the_zip_brings(bench: Bench) -> None:
    assert json.loads(_searched(bench, '{"own": 1, "lr": 9}')) == {"own": 1, **VALUES}
    assert "4 hyperparameters in config.json" in _log(bench)


@pytest.mark.parametrize("text", ["[1]", "lr = 9", '{"a":' * 100_000])
def test_a_search_keeps_a_file_of_the_zip_that_is_no_map(bench: Bench, text: str) -> None:
    assert _searched(bench, text) == text
    assert "config.json of the zip is kept" in _log(bench)


def test_a_training_without_them_gets_no_such_file(bench: Bench) -> None:
    bench.spec = replace(bench.spec, hyperparameters={})
    bench.stage()
    assert not (bench.run.model / "config.json").exists()
    assert "config.json" not in _log(bench)
