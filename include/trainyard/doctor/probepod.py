"""What a probe pod is: a training's pod with nothing to train and no GPU."""

from __future__ import annotations

from trainyard.cluster.run import PodRun, WorkspaceVolume, pod_options
from trainyard.domain.limits import FrameworkImage, Limits
from trainyard.domain.names import RunKey
from trainyard.domain.plan import Plan
from trainyard.domain.training import Framework, Resources, StoreRef, TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.settings import Settings
from trainyard.workspace.layout import Workspace

PREFIX, WORD = "doctor-", "word"
OTHER_WORKSPACE = 90
# The janitor takes pods that belong to no run when they are five minutes old.
MAX_SECONDS = 240.0
_DOCTOR = "trainyard-doctor"
_COMMAND = f'test -r "$DATA_DIR/{WORD}" || exit {OTHER_WORKSPACE}; cat "$DATA_DIR/{WORD}" >"$RESULT_DIR/{WORD}"'
_NOWHERE = StoreRef("folder", _DOCTOR, "file:///")
_CPU_MILLIS, _MEMORY, _SCRATCH = 100, 128 * 1024**2, 64 * 1024**2


def probe_run(
    probe_id: str, image: FrameworkImage, limits: Limits, settings: Settings, workspace: Workspace, seconds: float
) -> PodRun:
    """Return the run whose pod is the probe: namespace, user, volume and node as a training of the smallest size."""
    folder = workspace.subpath(workspace.probe(probe_id).root)
    account = next(iter(limits.accounts), "")
    options = pod_options(settings, account) | {"grace_seconds": 0, "scratch": _SCRATCH}
    return PodRun(
        key=RunKey.first_of(probe_id),
        attempt=1,
        spec=TrainingSpec(_DOCTOR, Framework(_DOCTOR, "1"), _COMMAND, Resources(gpus=0), _NOWHERE, _NOWHERE),
        plan=_plan(account, image, limits, seconds),
        namespace=settings.namespace,
        volume=WorkspaceVolume.of(settings.workspace_volume, str(workspace.root.absolute())),
        dataset_subpath=f"{folder}/data",
        run_subpath=folder,
        checkpoints_subpath=f"{folder}/checkpoints",
        **options,
    )


def _plan(account: str, image: FrameworkImage, limits: Limits, seconds: float) -> Plan:
    """Return a plan without a GPU for the nodes of the smallest size, which is where images have to be."""
    size = min(limits.sizes.values(), key=lambda one: one.gpus, default=None)
    return Plan(
        account=account,
        image=image.image,
        interpreter=image.interpreter,
        gpus=0,
        cpu_millis=_CPU_MILLIS,
        memory=_MEMORY,
        pool="",
        pool_slots=0,
        deadline_seconds=max(1, int(seconds)),
        node_selector=size.node_selector if size else {},
        tolerations=size.tolerations if size else (),
    )


def images_of(limits: Limits) -> list[FrameworkImage]:
    """Return the frameworks' images, each once, in their order; raise TrainyardError S500 where there is none."""
    found: dict[str, FrameworkImage] = {}
    for one in limits.frameworks:
        found.setdefault(one.image, one)
    if not found:
        raise TrainyardError("S500", "frameworks.yaml names no image", "Name at least one framework there.")
    return list(found.values())
