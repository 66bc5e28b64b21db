"""The first pod of the suite says in a sentence why a cluster cannot be tested."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from clusterprobe import ClusterProbe, UnfitClusterError
from clusterrun import missing_image
from clustertarget import Target
from clusterwait import wait_for
from yardhands import Hands

from trainyard.cluster.labels import ACCOUNT, MANAGED_BY, MODEL_ID, OURS
from trainyard.settings import read_settings

pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("cluster")]
_SETTLES_SECONDS = 5.0


@pytest.fixture
def probe(core: Any, target: Target) -> Iterator[Callable[..., list[str]]]:
    """Probe the cluster with another target than the right one; return what was said meanwhile."""
    made = []

    def run(**other: Any) -> list[str]:
        wrong, stated = replace(target, **other), list[str]()
        hands = Hands(core, wrong, f"suite-{secrets.token_hex(4)}", read_settings(os.environ))
        made.append(hands)
        ClusterProbe(core, wrong, hands, stated.append).run(_SETTLES_SECONDS)
        return stated

    yield run
    for hands in made:
        selector = f"{ACCOUNT}={hands.account}"
        left = partial(core.list_namespaced_pod, target.namespace, label_selector=selector)
        wait_for(lambda left=left: not left().items, "the end of the probe's pods", _SETTLES_SECONDS)


def test_a_cluster_that_is_fit_is_tested(probe: Callable[..., list[str]]) -> None:
    probe()


def test_a_folder_that_the_nodes_lack_is_named(probe: Callable[..., list[str]]) -> None:
    with pytest.raises(UnfitClusterError, match=r"did not start within.*FailedMount.*/no/such/folder|refuses a pod"):
        probe(workspace="/no/such/folder")


def test_an_image_that_does_not_arrive_is_named(probe: Callable[..., list[str]], target: Target) -> None:
    with pytest.raises(UnfitClusterError, match=r"cannot start: (ErrImagePull|ImagePullBackOff)"):
        probe(image=missing_image(target.image))


def test_a_namespace_that_is_not_there_is_named(probe: Callable[..., list[str]]) -> None:
    with pytest.raises(UnfitClusterError, match=r"there is no namespace not-there: .*not found|refuses a pod"):
        probe(namespace="not-there")


def test_a_suite_that_cannot_run_ends_with_one_sentence(target: Target) -> None:
    done = _suite(replace(target, image=missing_image(target.image))).communicate(timeout=300)[0]
    assert "the suite cannot run on this cluster" in done
    assert "Traceback" not in done


@pytest.mark.parametrize(("number", "label"), [(signal.SIGINT, MODEL_ID), (signal.SIGTERM, ACCOUNT)])
def test_a_suite_that_is_interrupted_leaves_no_pod(target: Target, core: Any, number: int, label: str) -> None:
    """Ctrl-C reaches the whole group; while a training's pod runs, and while the first pod does."""

    def pods() -> set[str]:
        found = core.list_namespaced_pod(target.namespace, label_selector=f"{MANAGED_BY}={OURS},{label}").items
        return {pod.metadata.name for pod in found if pod.metadata.labels[ACCOUNT].startswith("suite-")}

    before = pods()
    suite = _suite(target)
    try:
        wait_for(lambda: pods() - before, "a pod of the suite", target.patience)
    finally:
        os.killpg(suite.pid, number)
        stated = suite.communicate(timeout=120)[0]
    wait_for(lambda: not pods() - before, f"the end of its pods; it said {stated}", 120)


def _suite(target: Target) -> subprocess.Popen[str]:
    """Start the suite as `make test-cluster` does, in a group of its own, as a terminal's."""
    command = [sys.executable, "-m", "pytest", str(Path(__file__).with_name("test_cluster_ends.py")), "-n", "0", "-x"]
    named = {"KUBECONFIG": target.kubeconfig, "WORKSPACE": target.workspace, "NAMESPACE": target.namespace}
    environment = {**os.environ, **{f"CLUSTER_{name}": str(word) for name, word in named.items()}}
    return subprocess.Popen(
        command,
        env={**environment, "CLUSTER_IMAGE": target.image},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
