"""What the cluster is started with, and where its files are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

NODE = "local"
NAMESPACE = "default"


@dataclass(frozen=True)
class Config:
    """`gpus` are CUDA's names of the devices; `claims` maps `namespace/name` of a claim to its folder.

    `hidden` folders are empty to containers, except for their own volumes. `environment` is what every container finds
    unless its pod says otherwise. `python` is the prefix of the Python that containers find, this machine's own without
    it; it stands for the images in `provided`, and `image_variable` names to a container any other image that it wants.
    `phase_lag` is for how many seconds a pod whose containers have ended still has the phase Running. `nodes` are
    simulated: they share this machine, and each has its part of the GPUs. `network` is how pods with names reach one
    another.
    """

    folder: Path
    gpus: tuple[str, ...] = ()
    isolation: str = "paths"
    claims: Mapping[str, Path] = field(default_factory=dict)
    missing_images: tuple[str, ...] = ()
    hidden: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    python: Path | None = None
    provided: tuple[str, ...] = ()
    image_variable: str = ""
    phase_lag: float = 0
    nodes: int = 1
    network: str = "loopback"

    @property
    def node_gpus(self) -> dict[str, tuple[str, ...]]:
        """The GPUs of each node: equal shares, the first nodes' the larger ones."""
        names = [NODE, *(f"{NODE}-{number}" for number in range(2, self.nodes + 1))]
        share, more = divmod(len(self.gpus), self.nodes)
        found, first = {}, 0
        for index, name in enumerate(names):
            end = first + share + (index < more)
            found[name], first = self.gpus[first:end], end
        return found

    @property
    def root(self) -> Path:
        """The empty folder in which every container's namespace builds its root. Nothing is ever deleted in it."""
        return self.folder / "root"

    @property
    def pods(self) -> Path:
        return self.folder / "pods"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def claim_folder(self, namespace: str, name: str) -> Path:
        return self.claims.get(f"{namespace}/{name}", self.folder / "claims" / namespace / name)

    def pod(self, uid: str) -> PodFolder:
        return PodFolder(self.pods / uid)


@dataclass(frozen=True)
class PodFolder:
    """The files of one pod; `records` names those of a container."""

    path: Path

    def container(self, name: str) -> Path:
        return self.path / name

    def volume(self, name: str) -> Path:
        # A container may not be called this, so a volume's folder never meets a container's.
        return self.path / "volumes_" / name

    @property
    def memory(self) -> Path:
        """Where the pod's in-memory volumes are: a tmpfs of the machine."""
        return Path("/dev/shm") / f"localkube-{self.path.name}"
