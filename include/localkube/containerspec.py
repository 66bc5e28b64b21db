"""The whole of what a shim is told about a container, built as one value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from localkube import records
from localkube.config import ClusterConfig
from localkube.environment import base_environment, declared_environment, expand, gpu_environment
from localkube.mounts import PATHS, Mount
from localkube.objects import Obj, limit_of
from localkube.pythons import make_environment, python_mounts, python_variables
from localkube.quantities import whole
from localkube.rewriting import rewriter
from localkube.store import Store
from localkube.volumes import container_mounts
from localkube.waiting import NotReadyError

NOT_RUN = "TRAINYARD_IMAGE_NOT_RUN"


def container_spec(pod: Obj, container: Obj, volumes: Mapping[str, Path], store: Store, config: ClusterConfig) -> Obj:
    """Return the record that a shim runs a container by. Raise NotReadyError where something is missing."""
    folder = config.pod(pod["metadata"]["uid"]).container(container["name"])
    declared = declared_environment(pod, container, store)
    python = make_environment(folder, config.python)
    variables = base_environment(pod) | python_variables(python, config.python) | _image_variables(container, config)
    env = variables | declared | gpu_environment(pod, container)
    argv = [expand(word, env) for word in [*(container.get("command") or []), *(container.get("args") or [])]]
    if not argv:
        message = "the container names no command, and on the local cluster no image brings one"
        raise NotReadyError("CreateContainerError", "Failed", f"Error: {message}")
    mounts = [*container_mounts(container, volumes, pod, env), _termination_log(container, folder)]
    if config.isolation != PATHS:
        mounts += python_mounts(python, mounts, config)
    spec = {"argv": argv, "env": env, "cwd": container.get("workingDir") or str(folder / records.WORK)}
    if config.isolation != PATHS:
        spec = _with_working_folder(spec, mounts, folder, config)
    else:
        spec = _rewritten(spec, mounts, folder)
    if "PATH" not in declared:
        # The machine's own search path is no path of the container's, even where a volume has the same name.
        spec["env"]["PATH"] = env["PATH"]
    spec["env"] = {**spec["env"], records.MARKER: records.marker(str(folder))}
    return {
        **spec,
        "isolation": config.isolation,
        "root": str(config.root),
        "mounts": mounts,
        "hidden": [str(each) for each in config.hidden],
        "memory": whole(limit_of(container, "memory")),
    }


def _image_variables(container: Obj, config: ClusterConfig) -> dict[str, str]:
    """Name the image that is not run, for whoever is to say so in the run's own log."""
    return {} if container["image"] in config.provided else {NOT_RUN: container["image"]}


def _termination_log(container: Obj, folder: Path) -> Mount:
    target = container["terminationMessagePath"]
    return Mount(source=str(folder / records.TERMINATION_LOG), target=target, readOnly=False)


def _with_working_folder(spec: Obj, mounts: list[Mount], folder: Path, config: ClusterConfig) -> Obj:
    """Make the working folder appear in the namespace where neither the machine nor a mount has it."""
    cwd = spec["cwd"]
    mounted = _is_mounted(cwd, mounts)
    if not mounted and (_is_hidden(cwd, config) or not Path(cwd).exists()):
        mounts.append(Mount(source=str(folder / records.WORK), target=cwd, readOnly=False))
    return {**spec, "makeCwd": mounted}


def _rewritten(spec: Obj, mounts: list[Mount], folder: Path) -> Obj:
    rewrite = rewriter(mounts)
    cwd, mounted = rewrite(spec["cwd"]), _is_mounted(spec["cwd"], mounts)
    return {
        "argv": [rewrite(word) for word in spec["argv"]],
        "env": {name: rewrite(value) for name, value in spec["env"].items()},
        # A folder that only an image would have: the container's own stands in for it.
        "cwd": cwd if mounted or Path(cwd).is_dir() else str(folder / records.WORK),
        "makeCwd": mounted,
    }


def _is_mounted(path: str, mounts: list[Mount]) -> bool:
    return any(path == mount["target"] or path.startswith(mount["target"] + "/") for mount in mounts)


def _is_hidden(path: str, config: ClusterConfig) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in config.hidden)
