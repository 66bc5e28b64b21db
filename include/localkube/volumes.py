"""A pod's volumes as folders of this machine, and a container's mounts of them."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from localkube.config import ClusterConfig
from localkube.environment import expand
from localkube.mounts import Mount
from localkube.objects import Key, Obj
from localkube.store import Store
from localkube.waiting import mount_failed


class Volumes:
    """Makes the folders of a pod's volumes."""

    def __init__(self, config: ClusterConfig, store: Store) -> None:
        self._config = config
        self._store = store

    def prepare(self, pod: Obj) -> dict[str, Path]:
        """Return each volume's folder (or file), made and filled. Raise NotReadyError where something is missing."""
        return {volume["name"]: self._prepare_one(pod, volume) for volume in pod["spec"].get("volumes") or []}

    def _prepare_one(self, pod: Obj, volume: Obj) -> Path:
        kind = next((name for name in volume if name != "name"), "emptyDir")
        makers: dict[str, Callable[[Obj, str, Obj], Path]] = {
            "emptyDir": self._empty,
            "hostPath": self._host,
            "persistentVolumeClaim": self._claim,
            "secret": self._secret,
            "configMap": self._config_map,
        }
        if kind not in makers:
            raise mount_failed(f'volume "{volume["name"]}": the local cluster has no volumes of type {kind}')
        return makers[kind](pod, volume["name"], volume.get(kind) or {})

    def _empty(self, pod: Obj, name: str, source: Obj) -> Path:
        folder = self._config.pod(pod["metadata"]["uid"])
        in_memory = source.get("medium") == "Memory" and os.access("/dev/shm", os.W_OK)
        path = folder.memory_volume(name) if in_memory else folder.volume(name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _host(self, _: Obj, name: str, source: Obj) -> Path:
        path, kind = Path(source["path"]), source.get("type") or ""
        if kind in ("", "DirectoryOrCreate") and not path.exists():
            path.mkdir(parents=True)
        if kind == "FileOrCreate" and not path.exists():
            path.touch()
        if not _HOST_CHECKS[kind](path):
            raise mount_failed(f'volume "{name}": hostPath type check failed: {path} is not a {kind}')
        return path

    def _claim(self, pod: Obj, _: str, source: Obj) -> Path:
        path = self._config.claim_folder(pod["metadata"]["namespace"], source["claimName"])
        path.mkdir(parents=True, exist_ok=True)
        return path

    def _secret(self, pod: Obj, name: str, source: Obj) -> Path:
        obj = self._object(pod, name, "secrets", source["secretName"], source)
        files = {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}
        return self._write_files(pod, name, source, files)

    def _config_map(self, pod: Obj, name: str, source: Obj) -> Path:
        obj = self._object(pod, name, "configmaps", source["name"], source)
        files = {key: value.encode() for key, value in (obj.get("data") or {}).items()}
        files |= {key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}
        return self._write_files(pod, name, source, files)

    def _object(self, pod: Obj, volume: str, plural: str, name: str, source: Obj) -> Obj:
        found = self._store.find(Key(plural, pod["metadata"]["namespace"], name))
        if found is None and not source.get("optional"):
            kind = plural.removesuffix("s")
            raise mount_failed(f'MountVolume.SetUp failed for volume "{volume}" : {kind} "{name}" not found')
        return found or {}

    def _write_files(self, pod: Obj, name: str, source: Obj, files: Mapping[str, bytes]) -> Path:
        folder = self._config.pod(pod["metadata"]["uid"]).volume(name)
        folder.mkdir(parents=True, exist_ok=True)
        for key, path in _chosen(source, files).items():
            if key not in files:
                raise mount_failed(f'volume "{name}" references a non-existent key: {key}')
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.touch(mode=0o600)
            target.write_bytes(files[key])
        return folder


def container_mounts(container: Obj, volumes: Mapping[str, Path], pod: Obj, env: Mapping[str, str]) -> list[Mount]:
    """Return a container's mounts. Raise NotReadyError for a subPath that leads out of its volume."""
    read_only = {volume["name"] for volume in pod["spec"].get("volumes") or [] if _is_read_only(volume)}
    return [
        Mount(
            source=str(_source(volumes[mount["name"]], mount, env)),
            target=os.path.normpath(f"/{mount['mountPath']}").replace("//", "/"),
            readOnly=bool(mount.get("readOnly")) or mount["name"] in read_only,
        )
        for mount in container.get("volumeMounts") or []
    ]


def _chosen(source: Obj, files: Mapping[str, bytes]) -> dict[str, str]:
    """Return key -> path of the files to write: the items asked for, else all."""
    items = source.get("items")
    return {item["key"]: item["path"] for item in items} if items else {key: key for key in files}


def _is_read_only(volume: Obj) -> bool:
    """Secrets and config maps are; a claim if it says so."""
    claim = volume.get("persistentVolumeClaim") or {}
    return "secret" in volume or "configMap" in volume or bool(claim.get("readOnly"))


def _source(volume: Path, mount: Obj, env: Mapping[str, str]) -> Path:
    sub_path = mount.get("subPath") or expand(mount.get("subPathExpr") or "", env)
    if not sub_path:
        return volume
    path = volume / sub_path
    if not path.resolve().is_relative_to(volume.resolve()):
        raise mount_failed(f'subPath "{sub_path}" leads out of volume "{mount["name"]}"')
    if not path.exists():
        path.mkdir(parents=True)
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
