"""Any training makes a pod that Kubernetes takes: its schema, and what the API server checks beyond the schema."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import kubeschemas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pod_samples import FFDL, GIB, SMALL, expanded
from pod_standard import violations
from podfaults import VERSIONS, faults

from trainyard.cluster.spec import PodRun, WorkspaceVolume, training_pod
from trainyard.domain.names import RunKey
from trainyard.domain.plan import Plan
from trainyard.domain.training import Author, Framework, TrainingSpec


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("run", [SMALL, FFDL], ids=["gpu", "cpu"])
def test_the_pods_fit_the_schema_of_every_supported_kubernetes(run: PodRun, version: str) -> None:
    kubeschemas.check(training_pod(run), version)


def _broken(pod: dict[str, Any], change: str) -> dict[str, Any]:
    container = pod["spec"]["containers"][0]
    match change:
        case "mount":
            container["volumeMounts"][0]["name"] = "nowhere"
        case "subpath":
            container["volumeMounts"][0]["subPath"] = "../other"
        case "label":
            pod["metadata"]["labels"]["trainyard/name"] = "x" * 64
        case "name":
            pod["metadata"]["name"] = "Training_1"
        case "limit":
            container["resources"]["requests"]["memory"] = "1000Gi"
        case "gpu":
            container["resources"]["requests"]["nvidia.com/gpu"] = "0.5"
        case "twice":
            container["env"].append(container["env"][0])
        case "cpu":
            del container["resources"]["limits"]["cpu"]
        case "disk":
            del pod["spec"]["volumes"][-1]["emptyDir"]["sizeLimit"]
        case "links":
            del pod["spec"]["enableServiceLinks"]
        case "whole":
            del container["volumeMounts"][1]["subPath"]
    return pod


@pytest.mark.parametrize(
    "change", ["mount", "subpath", "label", "name", "limit", "gpu", "twice", "cpu", "disk", "links", "whole"]
)
def test_the_checks_of_this_file_see_what_the_schema_does_not(change: str) -> None:
    assert faults(training_pod(SMALL)) == []
    assert faults(_broken(training_pod(SMALL), change))


# What YAML can hold and an environment can carry: any text without NUL and surrogates.
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300)
_LONG = st.builds(str.__mul__, _TEXT, st.integers(1, 20))

_SPECS = st.builds(
    TrainingSpec,
    name=_LONG,
    framework=st.builds(Framework, _TEXT, _TEXT),
    command=_LONG,
    resources=st.just(SMALL.spec.resources),
    data=st.just(SMALL.spec.data),
    results=st.just(SMALL.spec.results),
    description=_LONG,
    author=st.none() | st.builds(Author, _TEXT, _TEXT),
    hyperparameters=st.dictionaries(
        st.from_regex(r"hp_[a-z]{1,9}", fullmatch=True),
        st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
        max_size=4,
    ),
)
_LABELS = st.from_regex(r"([a-z]{1,8}\.example/)?[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
_TOLERATIONS = st.fixed_dictionaries(
    {"key": _LABELS, "operator": st.sampled_from(["Exists"]), "effect": st.sampled_from(["NoSchedule", "NoExecute"])}
)
_PLANS = st.builds(
    Plan,
    account=_TEXT,
    image=_TEXT,
    interpreter=st.sampled_from(["python3", "python2.7", "/opt/x/bin/python", ""]),
    gpus=st.integers(0, 16),
    cpu_millis=st.integers(1, 200_000),
    memory=st.integers(1024**2, 4 * 1024**4),
    pool=st.just("pool"),
    pool_slots=st.integers(1, 16),
    deadline_seconds=st.integers(1, 10**7),
    node_selector=st.dictionaries(_LABELS, st.sampled_from(["", "k80", "Tesla-V100-SXM2-16GB"]), max_size=3),
    tolerations=st.lists(_TOLERATIONS, max_size=2).map(tuple),
)
_MODEL_IDS = st.from_regex(r"training-[A-Za-z0-9]{9}", fullmatch=True)
_RUNS = st.builds(
    PodRun,
    key=st.builds(RunKey, _MODEL_IDS, _MODEL_IDS),
    attempt=st.integers(1, 99),
    spec=_SPECS,
    plan=_PLANS,
    namespace=st.sampled_from(["default", "trainings"]),
    volume=st.sampled_from([WorkspaceVolume(claim="work"), WorkspaceVolume(folder="/srv/work")]),
    dataset_subpath=st.sampled_from(["datasets/a-0/1", "datasets/mit Leerzeichen-0/1"]),
    run_subpath=st.just("runs/x"),
    checkpoints_subpath=st.just("checkpoints/a"),
    grace_seconds=st.integers(0, 600),
    user=st.integers(1, 2**31 - 1),
    group=st.integers(0, 2**31 - 1),
    scratch=st.integers(1024**2, 1024 * GIB),
    log_bytes=st.integers(1024**2, 1024 * GIB),
    read_only_root=st.booleans(),
    priority_class=st.sampled_from(["", "trainyard-vision"]),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_RUNS, st.sampled_from(VERSIONS))
def test_any_training_makes_a_valid_pod_that_hands_its_command_over_unchanged(run: PodRun, version: str) -> None:
    pod = training_pod(run)
    kubeschemas.check(pod, version)
    assert faults(pod) == []
    values = {variable["name"]: variable["value"] for variable in pod["spec"]["containers"][0]["env"]}
    assert expanded(values["TRAINING_COMMAND"], values) == run.spec.command


@given(st.text(st.sampled_from("$()ab é"), max_size=12))
def test_no_mixture_of_dollars_and_brackets_is_changed(command: str) -> None:
    pod = training_pod(replace(SMALL, spec=replace(SMALL.spec, command=command)))
    values = {variable["name"]: variable["value"] for variable in pod["spec"]["containers"][0]["env"]}
    assert expanded(values["TRAINING_COMMAND"], {"a": "x", "ab": "y", "": "z"}) == command


@given(_RUNS)
def test_any_training_with_a_claim_as_workspace_may_run_where_the_restricted_standard_is_enforced(run: PodRun) -> None:
    claimed = replace(run, volume=WorkspaceVolume(claim="work"))
    assert violations(training_pod(claimed)) == []


@given(_RUNS)
def test_a_folder_of_the_node_as_workspace_is_all_that_any_training_lacks_for_it(run: PodRun) -> None:
    on_node = replace(run, volume=WorkspaceVolume(folder="/srv/work"))
    assert violations(training_pod(on_node)) == ["volume hostPath"]


_LOOSE = {
    "privileged": lambda pod, container: container["securityContext"].update(privileged=True),
    "allowPrivilegeEscalation": lambda pod, container: container["securityContext"].pop("allowPrivilegeEscalation"),
    "capabilities": lambda pod, container: container["securityContext"]["capabilities"].update(add=["SYS_ADMIN"]),
    "root": lambda pod, container: pod["securityContext"].update(runAsUser=0),
    "seccompProfile": lambda pod, container: pod["securityContext"].pop("seccompProfile"),
    "hostPID": lambda pod, container: pod.update(hostPID=True),
    "hostPort": lambda pod, container: container.update(ports=[{"containerPort": 1, "hostPort": 1}]),
    "sysctls": lambda pod, container: pod["securityContext"].update(sysctls=[{"name": "a", "value": "b"}]),
    "procMount": lambda pod, container: container["securityContext"].update(procMount="Unmasked"),
}


@pytest.mark.parametrize("fault", _LOOSE)
def test_the_check_of_the_restricted_standard_sees_what_it_forbids(fault: str) -> None:
    pod = training_pod(SMALL)
    assert violations(pod) == []
    _LOOSE[fault](pod["spec"], pod["spec"]["containers"][0])
    assert violations(pod) == [fault]
