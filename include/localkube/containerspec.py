"""All that a shim knows about a container, its environment included, built as one value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from localkube import records
from localkube.config import Config
from localkube.mounts import PATHS, Mount
from localkube.objects import GPU, Obj, gpus_held, limit_of
from localkube.pythons import make_environment, python_mounts, python_variables
from localkube.volumes import container_mounts

_REFERENCE = re.compile(r"\$(?:\$|\(([^()]+)\))")
# A path ends where a path in a shell command, a list of paths or a quoted text ends, and never starts within another.
_BEFORE = r"(?<![\w/.-])"
_AFTER = r"(?=[/\s\"':;,)}\]&|<>=]|$)"


def container_spec(
    pod: Obj, container: Obj, volumes: Mapping[str, Path], config: Config, secrets: Mapping[str, str]
) -> Obj:
    """Return the record that a shim runs a container by; `secrets` are the variables that secrets are behind.

    Raise NotReadyError where a mount cannot be made.
    """
    folder = config.pod(pod["metadata"]["uid"]).container(container["name"])
    python = make_environment(folder, config.python)
    declared = declared_environment(container, secrets)
    env = {
        **config.environment,
        "HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"],
        **python_variables(python, config),
        **_image_variable(container, config),
        **declared,
        **gpu_environment(pod, container),
    }
    mounts = [*container_mounts(container, volumes, pod), _termination_log(container, folder)]
    spec: Obj = {
        "argv": [expand(word, env) for word in [*container.get("command", ()), *container.get("args", ())]],
        "env": env,
        "cwd": container.get("workingDir") or str(folder / records.WORK),
    }
    if config.isolation == PATHS:
        spec = _rewritten(spec, mounts, folder)
    else:
        mounts += python_mounts(python, mounts, config)
        spec = _with_working_folder(spec, mounts, folder, config)
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
        "memory": limit_of(container, "memory"),
    }


def expand(text: str, env: Mapping[str, str]) -> str:
    """Replace each `$(NAME)` that is known; `$$` is a `$`, an unknown name stays as it is."""
    return _REFERENCE.sub(lambda match: env.get(match[1], match[0]) if match[1] else "$", text)


def declared_environment(container: Obj, secrets: Mapping[str, str]) -> dict[str, str]:
    """Return what the pod says; a value may name variables that stand before it, those of `envFrom` first of all."""
    named = {variable["name"] for variable in container.get("env") or []}
    env = {name: value for name, value in secrets.items() if name not in named}
    for variable in container.get("env") or []:
        name = variable["name"]
        if "valueFrom" not in variable:
            env[name] = expand(variable.get("value", ""), env)
        elif name in secrets:
            env[name] = secrets[name]
    return env


def gpu_environment(pod: Obj, container: Obj) -> dict[str, str]:
    """Return what makes CUDA see the pod's own GPUs and no other, none for a container that asked for none."""
    first = 0
    for other in pod["spec"]["containers"]:
        if other["name"] == container["name"]:
            break
        first += limit_of(other, GPU)
    return {"CUDA_VISIBLE_DEVICES": ",".join(gpus_held(pod)[first : first + limit_of(container, GPU)])}


def rewriter(mounts: Sequence[Mount]) -> Callable[[str], str]:
    """Return a function that puts the folder behind a mount wherever a text names its path.

    For machines that allow no mount namespace.
    """
    folders = {mount["target"]: mount["source"] for mount in mounts}
    if not folders:
        return lambda text: text
    longest_first = sorted(folders, key=len, reverse=True)
    pattern = re.compile(f"{_BEFORE}({'|'.join(map(re.escape, longest_first))}){_AFTER}")
    return lambda text: pattern.sub(lambda match: folders[match[1]], text)


def _image_variable(container: Obj, config: Config) -> dict[str, str]:
    """Name the image that is not run, for whoever wants to say so in the container's own log."""
    named = config.image_variable and container["image"] not in config.provided
    return {config.image_variable: container["image"]} if named else {}


def _termination_log(container: Obj, folder: Path) -> Mount:
    target = container["terminationMessagePath"]
    return Mount(source=str(folder / records.TERMINATION_LOG), target=target, readOnly=False)


def _with_working_folder(spec: Obj, mounts: list[Mount], folder: Path, config: Config) -> Obj:
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


def _is_hidden(path: str, config: Config) -> bool:
    return any(Path(path).is_relative_to(folder) for folder in config.hidden)
