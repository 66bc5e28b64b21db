"""A stack whose trainings run on a cluster of the caller's."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from trainyard.errors import TrainyardError
from trainyard.local import parts
from trainyard.local.external import ExternalCluster, external_connection
from trainyard.local.records import Records, Running
from trainyard.local.secrets import Secrets
from trainyard.local.stack import Stack

VARIABLE = "AIRFLOW_CONN_KUBERNETES_DEFAULT"


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.delenv(VARIABLE, raising=False)
    folder = tmp_path / ".trainyard"
    folder.mkdir(mode=0o700)
    Secrets.of(folder / "secrets.json")
    (folder / "ports.json").write_text('{"object store": 29391, "cluster": 26891, "api-server": 28391}')
    return Stack(folder)


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "nowhere"
    monkeypatch.setenv(VARIABLE, f'{{"conn_type": "kubernetes", "extra": {{"kube_config_path": "{kubeconfig}"}}}}')


def test_the_local_cluster_does_not_start_then(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts.CLUSTER in stack.supervised()
    monkeypatch.setenv(VARIABLE, "{}")
    assert parts.CLUSTER not in stack.supervised()


def test_an_empty_variable_names_no_cluster() -> None:
    assert external_connection({VARIABLE: ""}) == ""
    assert external_connection({VARIABLE: "{}"}) == VARIABLE


def test_status_shows_whose_cluster_it_is_and_the_folder_keeps_no_credentials(stack: Stack, theirs: None) -> None:
    ExternalCluster(stack.folder).remember(VARIABLE, runs=False)
    row = stack.status()[parts.CLUSTER]
    assert (row["state"], row["address"]) == ("external", VARIABLE)
    assert (stack.folder / "external-cluster").read_text() == VARIABLE


@pytest.mark.parametrize(("before", "now"), [("", VARIABLE), (VARIABLE, "")])
def test_a_stack_that_runs_does_not_change_its_cluster(stack: Stack, before: str, now: str) -> None:
    external = ExternalCluster(stack.folder)
    external.remember(before, runs=False)
    with pytest.raises(TrainyardError, match="the stack runs, and its trainings are on") as refused:
        external.remember(now, runs=True)
    assert "trainyard down" in refused.value.hint
    assert external.variable == before
    external.remember(now, runs=False)
    assert external.variable == now


def test_up_refuses_before_anything_starts(stack: Stack, theirs: None) -> None:
    me = psutil.Process()
    Records(stack.folder).remember("scheduler", Running(me.pid, me.create_time(), ""))
    with pytest.raises(TrainyardError, match="the stack runs, and its trainings are on the local cluster"):
        stack.up(print)
    assert list(Records(stack.folder).all_running()) == ["scheduler"]


def test_down_says_that_trainings_there_go_on_and_how_to_hear_of_them(stack: Stack) -> None:
    ExternalCluster(stack.folder).remember(VARIABLE, runs=False)
    stated: list[str] = []
    stack.down(stated.append)
    assert stated == [
        f"trainings on the cluster of {VARIABLE} are not stopped",
        f"set {VARIABLE} to hear which pods run there",
    ]


def test_down_is_done_where_the_cluster_does_not_say(stack: Stack, theirs: None) -> None:
    ExternalCluster(stack.folder).remember(VARIABLE, runs=False)
    stated: list[str] = []
    stack.down(stated.append)
    unknown = ("which pods run on the cluster is not known: ", "the cluster did not say within ")
    assert stated[1].startswith(unknown)
