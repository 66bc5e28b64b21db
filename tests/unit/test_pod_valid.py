"""Any training makes a pod that Kubernetes takes: its schema, and what the API server checks beyond the schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import kubernetes_validate
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pod_samples import FFDL, GIB, SMALL, expanded
from pod_standard import violations

from trainyard.cluster.spec import PodRun, WorkspaceVolume, training_pod
from trainyard.domain.names import RunKey
from trainyard.domain.plan import Plan
from trainyard.domain.training import Author, Framework, TrainingSpec

VERSIONS = ("1.31", "1.32", "1.33", "1.34")

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_QUANTITY = re.compile(r"(\d+)(m|Ki|Mi|Gi)?")
_UNITS = {None: 1000, "m": 1, "Ki": 1000 * 1024, "Mi": 1000 * 1024**2, "Gi": 1000 * 1024**3}


def faults(pod: dict[str, Any]) -> list[str]:
    """Return what an API server would refuse of a pod although the schema allows it."""
    spec = pod["spec"]
    (container,) = spec["containers"]
    return [
        *_name_faults(pod["metadata"], spec),
        *_mount_faults(spec["volumes"], container["volumeMounts"]),
        *_resource_faults(container["resources"]),
        *_environment_faults(container["env"]),
        *_bound_faults(spec, container),
        *(f"{key} is not positive" for key in ("activeDeadlineSeconds",) if spec[key] < 1),
        *(["restartPolicy"] if spec["restartPolicy"] not in ("Never", "OnFailure", "Always") else []),
        *(["pull policy"] if container["imagePullPolicy"] not in ("IfNotPresent", "Always", "Never") else []),
    ]


def _name_faults(metadata: dict[str, Any], spec: dict[str, Any]) -> Iterator[str]:
    names = [metadata["name"], *(part["name"] for part in [*spec["containers"], *spec["volumes"]])]
    yield from (f"name {name}" for name in names if not _DNS_LABEL.fullmatch(name))
    keys = [*metadata["labels"], *metadata["annotations"]]
    yield from (f"key {key}" for key in keys if not _LABEL_KEY.fullmatch(key))
    yield from (f"label {value!r}" for value in metadata["labels"].values() if not _LABEL_VALUE.fullmatch(value))
    if sum(len(f"{key}{value}".encode()) for key, value in metadata["annotations"].items()) > 262_144:
        yield "annotations too long"


def _mount_faults(volumes: list[dict[str, Any]], mounts: list[dict[str, Any]]) -> Iterator[str]:
    names, paths = [volume["name"] for volume in volumes], [mount["mountPath"] for mount in mounts]
    if len(set(names)) < len(names) or len(set(paths)) < len(paths):
        yield "a name or mount path occurs twice"
    if {mount["name"] for mount in mounts} != set(names):
        yield "volumes and mounts do not match"
    for mount in mounts:
        subpath = mount.get("subPath", "")
        if subpath.startswith("/") or ".." in subpath.split("/") or ":" in mount["mountPath"]:
            yield f"mount {mount}"


def _resource_faults(resources: dict[str, dict[str, str]]) -> Iterator[str]:
    for kind, amount in [*resources["requests"].items(), *resources["limits"].items()]:
        if not _QUANTITY.fullmatch(amount):
            yield f"quantity {kind} {amount}"
    for kind, limit in resources["limits"].items():
        if _thousandths(resources["requests"].get(kind, limit)) > _thousandths(limit):
            yield f"{kind}: more requested than allowed"
        if kind == "nvidia.com/gpu" and resources["requests"].get(kind) != limit:
            yield "GPUs cannot be overcommitted"


def _thousandths(quantity: str) -> int:
    match = _QUANTITY.fullmatch(quantity)
    return int(match[1]) * _UNITS[match[2]] if match else 0


def _environment_faults(variables: list[dict[str, str]]) -> Iterator[str]:
    names = [variable["name"] for variable in variables]
    if len(set(names)) < len(names):
        yield "a variable occurs twice"
    yield from (f"variable {variable}" for variable in variables if not isinstance(variable["value"], str))


def _bound_faults(spec: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    """Tell what a stranger's program could take without a bound."""
    limits = container["resources"]["limits"]
    yield from (f"no limit of {kind}" for kind in ("cpu", "memory", "ephemeral-storage") if kind not in limits)
    yield from (f"{kind} is 0" for kind, amount in limits.items() if not _thousandths(amount))
    for volume in spec["volumes"]:
        if "emptyDir" in volume and not _thousandths(volume["emptyDir"].get("sizeLimit", "0")):
            yield f"{volume['name']} has no bound"
    if spec.get("automountServiceAccountToken") is not False or spec.get("enableServiceLinks") is not False:
        yield "the cluster shows itself to the program"
    whole = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "workspace"]
    seen = [mount["mountPath"] for mount in container["volumeMounts"] if mount.get("subPath")]
    yield from (f"all of the workspace at {path}" for path in set(whole) - set(seen))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("run", [SMALL, FFDL], ids=["gpu", "cpu"])
def test_the_pods_fit_the_schema_of_every_supported_kubernetes(run: PodRun, version: str) -> None:
    kubernetes_validate.validate(training_pod(run), version, strict=True)


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
    kubernetes_validate.validate(pod, version, strict=True)
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
