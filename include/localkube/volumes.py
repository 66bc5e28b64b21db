"""A pod's volumes as folders of this machine, and a container's mounts of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from localkube.config import Config
from localkube.errors import NotReadyError
from localkube.mounts import Mount
from localkube.objects import Obj


def make_volumes(config: Config, pod: Obj) -> dict[str, Path]:
    """Return each volume's folder (or file), made. Raise NotReadyError or OSError where that is not possible yet."""
    return {volume["name"]: _make(config, pod, volume) for volume in pod["spec"].get("volumes") or []}


def _make(config: Config, pod: Obj, volume: Obj) -> Path:
    if claim := volume.get("persistentVolumeClaim"):
        return _folder(config.claim_folder(pod["metadata"]["namespace"], claim["claimName"]))
    if host := volume.get("hostPath"):
        return _host_path(volume["name"], host)
    return _empty_folder(config, pod, volume)


def _folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _empty_folder(config: Config, pod: Obj, volume: Obj) -> Path:
    folder = config.pod(pod["metadata"]["uid"])
    in_memory = (volume.get("emptyDir") or {}).get("medium") == "Memory" and os.access("/dev/shm", os.W_OK)
    path = folder.memory / volume["name"] if in_memory else folder.volume(volume["name"])
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _folder(path)


def _host_path(name: str, source: Obj) -> Path:
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind in ("", "DirectoryOrCreate") and not path.exists():
        path.mkdir(parents=True)
    if kind == "FileOrCreate" and not path.exists():
        path.touch()
    if not _HOST_CHECKS[kind](path):
        raise NotReadyError(f'volume "{name}": hostPath type check failed: {path} is not a {kind}')
    return path


_HOST_CHECKS: dict[str, Callable[[Path], bool]] = {
    "": Path.exists,
    "DirectoryOrCreate": Path.is_dir,
    "Directory": Path.is_dir,
    "FileOrCreate": Path.is_file,
    "File": Path.is_file,
    "Socket": Path.is_socket,
    "CharDevice": Path.is_char_device,
    "BlockDevice": Path.is_block_device,
}


def container_mounts(container: Obj, volumes: Mapping[str, Path], pod: Obj) -> list[Mount]:
    """Return a container's mounts. Raise NotReadyError for a subPath that leads out of its volume."""
    claims = {volume["name"]: volume.get("persistentVolumeClaim") or {} for volume in pod["spec"].get("volumes") or []}
    return [
        Mount(
            source=str(_source(volumes[mount["name"]], mount)),
            target=os.path.normpath(f"/{mount['mountPath']}").replace("//", "/"),
            readOnly=bool(mount.get("readOnly") or claims[mount["name"]].get("readOnly")),
        )
        for mount in container.get("volumeMounts") or []
    ]


def _source(volume: Path, mount: Obj) -> Path:
    path = volume / mount.get("subPath", "")
    if not path.resolve().is_relative_to(volume.resolve()):
        raise NotReadyError(f'subPath "{mount["subPath"]}" leads out of volume "{mount["name"]}"')
    if not path.exists():
        path.mkdir(parents=True)
    return path
