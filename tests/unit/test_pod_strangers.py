"""Whatever manifest is accepted, its pod holds a hostile program: the standard, its own folders, bounds, no way in."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubeschemas
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from manifest_samples import FFDL as FFDL_TEXT
from manifest_samples import MANIFEST, limits, read
from pod_samples import FFDL, SMALL
from pod_standard import violations
from podfaults import VERSIONS, faults
from realmanifests import RUNNING, source

from trainyard.cluster.spec import PodRun, WorkspaceVolume, training_pod
from trainyard.domain.hyperparameters import fault_of_name
from trainyard.domain.names import RunKey, pod_name
from trainyard.domain.plan import make_plan
from trainyard.errors import TrainyardError
from trainyard.manifest.document import read_document

_DOCS = [Path(__file__).parents[2] / "docs" / name for name in ("pod.md", "learners.md")]
_WRITABLE = {"/job/model", "/job/result", "/job/logs", "/job/state", "/job/checkpoints"}
_BOUNDED = {"cpu", "memory", "ephemeral-storage"}


def held(run: PodRun) -> list[str]:
    """Return what a stranger's program could do that it should not, by the pods of its learners alone."""
    learners = [replace(run, learner=number) for number in range(1, run.plan.learners + 1)]
    return [found for learner in learners for found in loose(training_pod(learner), learner)]


def loose(pod: dict[str, Any], run: PodRun) -> list[str]:
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    return [
        *(found for found in violations(pod) if (found, run.volume.folder is None) != ("volume hostPath", False)),
        *faults(pod),
        *([] if container["securityContext"]["readOnlyRootFilesystem"] is run.read_only_root else ["root writable"]),
        *([] if spec["automountServiceAccountToken"] is False and "serviceAccountName" not in spec else ["token"]),
        *([] if _folders(spec, container) == _own(run) else ["the workspace of others"]),
        *([] if _host_paths(spec) <= {run.volume.folder} else ["a path of the node"]),
        *([] if {"/tmp", "/var/tmp"} <= {mount["mountPath"] for mount in container["volumeMounts"]} else ["no /tmp"]),
        *([] if container["resources"]["limits"].keys() >= _BOUNDED else ["no bound"]),
        *([] if _variables(container).get("LEARNER_LOG_BYTES") == str(run.log_bytes) else ["the log has no bound"]),
        *([] if spec["activeDeadlineSeconds"] == run.plan.deadline_seconds else ["no end"]),
        *_reported(container, run),
    ]


def _folders(spec: dict[str, Any], container: dict[str, Any]) -> set[tuple[str, str, bool]]:
    return {
        (mount["mountPath"], mount.get("subPath", ""), bool(mount.get("readOnly")))
        for mount in container["volumeMounts"]
        if "emptyDir" not in next(volume for volume in spec["volumes"] if volume["name"] == mount["name"])
    }


def _own(run: PodRun) -> set[tuple[str, str, bool]]:
    """Return where a run may look and write: its dataset, its four folders, its account's checkpoints.

    Of several learners those after the first have logs and state of their own, and all of an attempt share one folder.
    """
    own = {(path, f"{run.run_subpath}/{path.rpartition('/')[2]}", False) for path in _WRITABLE - {"/job/checkpoints"}}
    if run.learner > 1:
        mine = f"{run.run_subpath}/learners/{run.learner}"
        own -= {(f"/job/{name}", f"{run.run_subpath}/{name}", False) for name in ("logs", "state")}
        own |= {(f"/job/{name}", f"{mine}/{name}", False) for name in ("logs", "state")}
    if run.plan.learners > 1:
        own.add(("/job", f"{run.run_subpath}/together/{pod_name(run.key, run.attempt)}", False))
    return {*own, ("/job/checkpoints", run.checkpoints_subpath, False), ("/job/data", run.dataset_subpath, True)}


def _host_paths(spec: dict[str, Any]) -> set[str | None]:
    return {volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume}


def _variables(container: dict[str, Any]) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "") for variable in container["env"]}


def _reported(container: dict[str, Any], run: PodRun) -> list[str]:
    """Tell of an environment that is more than what docs/pod.md says: no address and no credential is in that."""
    more = _variables(container).keys() - run.spec.hyperparameters.keys() - _documented()
    taken = [variable["name"] for variable in container["env"] if "valueFrom" in variable]
    return [*more, *taken, *(["envFrom"] if "envFrom" in container else [])]


def _documented() -> set[str]:
    rows = [
        line.split(" | ")[0]
        for page in _DOCS
        for line in page.read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]
    return {name.strip("`, ") for row in rows for name in row.removeprefix("| ").split(", ")}


def _run_of(text: str, name: str = "training-aB3dE5gH7") -> PodRun:
    spec = read(text).submission.spec
    plan = make_plan(spec, limits().accounts["default"], limits())
    return replace(SMALL, key=RunKey.first_of(name), run_subpath=f"runs/{name}/{name}", spec=spec, plan=plan)


_LINE = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=80).filter(str.strip)
_NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True).filter(lambda name: not fault_of_name(name))
_VALUES = st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9) | _LINE
_PARAMETERS = st.dictionaries(_NAMES, _VALUES, max_size=4)
_SIZES = st.sampled_from(["small", "medium", "large", "k80", "p100", "v100"])


@st.composite
def _manifests(draw: st.DrawFn) -> str:
    """Draw a manifest of either family with texts of its own in every place that takes one."""
    if draw(st.booleans()):
        found = read_document(FFDL_TEXT.encode(), 2**20).data
        found |= {"name": draw(_LINE), "description": draw(_LINE), "gpus": draw(st.integers(0, 4))}
        found["framework"] |= {"command": f"python3 {draw(_LINE)}", "hyperparameters": draw(_PARAMETERS)}
    else:
        found = read_document(MANIFEST.encode(), 2**20).data
        model = found["model_definition"]
        model |= {"name": draw(_LINE), "description": draw(_LINE), "author": {"name": draw(_LINE)}}
        model["execution"] |= {"resource": draw(_SIZES), "hyperparameters": draw(_PARAMETERS)}
        model["execution"]["command"] = f"python3 {draw(_LINE)}"
    return json.dumps(found)


def _accepted(text: str) -> PodRun:
    """Return the run of a manifest; one in a hundred is refused, and were it many, Hypothesis would fail the test."""
    try:
        return _run_of(text)
    except TrainyardError:
        reject()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_manifests(), st.sampled_from(VERSIONS), st.booleans())
def test_any_manifest_that_is_accepted_makes_a_pod_that_holds_its_program(
    text: str, version: str, on_node: bool
) -> None:
    found = _accepted(text)
    run = replace(found, volume=WorkspaceVolume(folder="/srv/work")) if on_node else found
    kubeschemas.check(training_pod(run), version)
    assert held(run) == []


@pytest.mark.parametrize("name", RUNNING)
def test_so_does_every_real_manifest(name: str) -> None:
    run = _run_of(source(name))
    for version in VERSIONS:
        kubeschemas.check(training_pod(run), version)
    assert held(run) == []


_WAYS_OUT = {
    "root writable": lambda pod, box: box["securityContext"].update(readOnlyRootFilesystem=False),
    "token": lambda pod, box: pod.update(serviceAccountName="airflow-worker"),
    "cluster's token": lambda pod, box: pod.update(automountServiceAccountToken=True),
    "another's run": lambda pod, box: box["volumeMounts"][1].update(subPath="runs/training-000000000/model"),
    "all runs": lambda pod, box: box["volumeMounts"][2].update(subPath="runs"),
    "all of the workspace": lambda pod, box: box["volumeMounts"][2].update(subPath="."),
    "writable dataset": lambda pod, box: box["volumeMounts"][0].pop("readOnly"),
    "node's path": lambda pod, box: pod["volumes"][1].update(hostPath={"path": "/"}),
    "no /tmp": lambda pod, box: box["volumeMounts"].pop(),
    "cpu": lambda pod, box: box["resources"]["limits"].pop("cpu"),
    "memory": lambda pod, box: box["resources"]["limits"].pop("memory"),
    "disk": lambda pod, box: box["resources"]["limits"].pop("ephemeral-storage"),
    "log": lambda pod, box: box["env"].remove(
        next(variable for variable in box["env"] if variable["name"] == "LEARNER_LOG_BYTES")
    ),
    "time": lambda pod, box: pod.update(activeDeadlineSeconds=10**9),
    "address": lambda pod, box: box["env"].append({"name": "AIRFLOW__API__BASE_URL", "value": "http://airflow"}),
    "secret": lambda pod, box: box["env"].append({"name": "KEY", "valueFrom": {"secretKeyRef": {}}, "value": ""}),
    "secrets": lambda pod, box: box.update(envFrom=[{"secretRef": {"name": "trainyard-airflow"}}]),
    "host": lambda pod, box: pod.update(hostNetwork=True),
    "seccomp": lambda pod, box: pod["securityContext"].update(seccompProfile={"type": "Unconfined"}),
}


@pytest.mark.parametrize("way", _WAYS_OUT)
@pytest.mark.parametrize("run", [SMALL, FFDL], ids=["claim", "folder"])
def test_every_way_out_of_a_pod_is_seen(run: PodRun, way: str) -> None:
    pod = deepcopy(training_pod(run))
    assert loose(pod, run) == []
    _WAYS_OUT[way](pod["spec"], pod["spec"]["containers"][0])
    assert loose(pod, run)


def test_nothing_of_the_environment_that_the_service_runs_in_reaches_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("AIRFLOW__CORE__FERNET_KEY", "TRAINYARD_INBOX", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "KUBECONFIG")
    for name in names:
        monkeypatch.setenv(name, "planted-in-the-service")
    assert "planted-in-the-service" not in json.dumps(training_pod(SMALL))
