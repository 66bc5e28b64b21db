"""How the stack starts and ends the cluster of its machine: by commands alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trainyard.cli.main import main
from trainyard.errors import TrainyardError
from trainyard.local import parts


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (parts.GPUS, parts.NODES, "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


def command(folder: Path) -> list[str]:
    return list(parts.cluster(folder / "cluster", 6443).command)


def gpu_words(folder: Path) -> list[str]:
    words = command(folder)
    start = next(index for index, word in enumerate(words) if word.startswith("--gpu"))
    return words[start : start + 2]


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, ["--gpus-if-none", "5"]),
        ({parts.GPUS: "2", "CUDA_VISIBLE_DEVICES": "7"}, ["--gpus", "2"]),
        ({"CUDA_VISIBLE_DEVICES": " 3, GPU-abc"}, ["--gpu-devices", "3,GPU-abc"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, ["--gpus", "5"]),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ["--gpus", "5"]),
    ],
)
def test_gpus_are_those_of_the_setting_else_the_visible_ones_else_simulated(variables, words, tmp_path, monkeypatch):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert gpu_words(tmp_path) == words


def test_as_many_nodes_as_the_setting_says_are_simulated_and_the_clusters_usual_one_without_it(tmp_path, monkeypatch):
    assert "--nodes" not in command(tmp_path)
    monkeypatch.setenv(parts.NODES, "4")
    words = command(tmp_path)
    assert words[words.index("--nodes") :][:2] == ["--nodes", "4"]


def test_the_option_of_up_is_that_setting(tmp_path, monkeypatch):
    told = []

    class Stack:
        def __init__(self, folder):
            self.folder = folder

        def up(self, report):
            told.append(command(tmp_path)[-2:])
            raise TrainyardError("S500", "enough", "")

    monkeypatch.setenv(parts.NODES, "2")
    monkeypatch.setattr("trainyard.local.stack.Stack", Stack)
    assert main(["up", "--folder", str(tmp_path), "--nodes", "4"]) == 1
    assert told == [["--nodes", "4"]]
    assert main(["up", "--folder", str(tmp_path), "--nodes", "101"]) == 2


def test_trainings_find_the_machines_search_path_without_the_services_own_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"/opt/tools/bin:{Path(sys.executable).parent}:/usr/bin")
    monkeypatch.setenv("HOME", "/home/ada")
    words = command(tmp_path)
    assert {"PATH=/opt/tools/bin:/usr/bin", "HOME=/home/ada"} <= set(words)
    assert words[words.index("HOME=/home/ada") - 1] == "--env"


def test_the_pods_of_a_cluster_that_never_ran_are_none(tmp_path):
    assert parts.end_pods(tmp_path / "none", 0) == 0


def test_pods_that_cannot_be_ended_are_an_error_with_the_commands_words(tmp_path):
    folder = tmp_path / "pods" / "uid" / "base"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("{}")
    (folder / "shim.json").write_text('{"no": "pid"}')
    with pytest.raises(TrainyardError, match="could not be ended") as caught:
        parts.end_pods(tmp_path, 0)
    assert "Error" in caught.value.hint
