"""What the cluster is started with, and where its files are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NODE = "local"
GPU_ANNOTATION = "trainyard.local/gpus"  # the GPUs that a scheduled pod holds, as CUDA numbers them


@dataclass(frozen=True)
class ClusterConfig:
    """`gpus` are CUDA's names of the devices; `claims` maps `namespace/name` of a claim to its folder.

    `hidden` folders are empty to containers, but for their own volumes. `python` is the prefix of the Python that they
    find, this machine's own without it; it stands for the images in `provided`. `phase_lag` is for how many seconds a
    pod whose containers have ended still has the phase Running.
    """

    folder: Path
    gpus: tuple[str, ...] = ()
    isolation: str = "paths"
    claims: Mapping[str, Path] = field(default_factory=dict)
    missing_images: tuple[str, ...] = ()
    hidden: tuple[Path, ...] = ()
    python: Path | None = None
    provided: tuple[str, ...] = ()
    phase_lag: float = 0

    @property
    def root(self) -> Path:
        """The empty folder in which every container's namespace builds its root. Nothing is ever deleted in it."""
        return self.folder / "root"

    @property
    def token_file(self) -> Path:
        return self.folder / "token"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def claim_folder(self, namespace: str, name: str) -> Path:
        return self.claims.get(f"{namespace}/{name}", self.folder / "claims" / namespace / name)

    def pod(self, uid: str) -> PodFolder:
        return PodFolder(self.folder / "pods" / uid)


@dataclass(frozen=True)
class PodFolder:
    """The files of one pod; `records` names those of a container."""

    path: Path

    def container(self, name: str) -> Path:
        return self.path / name

    def volume(self, name: str) -> Path:
        # A container may not be called this, so a volume's folder never meets a container's.
        return self.path / "volumes_" / name

    def memory_volume(self, name: str) -> Path:
        return self.memory / name

    @property
    def memory(self) -> Path:
        """Where the pod's in-memory volumes are: a tmpfs of the machine."""
        return Path("/dev/shm") / f"trainyard-{self.path.name}"
