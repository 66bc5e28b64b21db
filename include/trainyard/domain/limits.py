"""What there is to run on: frameworks, sizes and accounts, as values with look-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainyard.domain.budget import Budget
from trainyard.domain.watchdogs import NO_WATCH, Watch


@dataclass(frozen=True)
class FrameworkImage:
    """One framework version: the image it runs in and the interpreter that `python` means there.

    `python` is its major version, `devices` `cpu` or `gpu`, `launcher` what starts the command once a GPU; empty where
    that is not known, or does not matter.
    """

    name: str
    version: str
    image: str
    interpreter: str
    python: str = field(default="", compare=False)
    devices: str = field(default="", compare=False)
    launcher: str = field(default="", compare=False)


@dataclass(frozen=True)
class Size:
    """A size by name. `memory` is in bytes; `tolerations` are Kubernetes tolerations as data."""

    name: str
    gpus: int
    cpu_millis: int
    memory: int
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Size:
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        return cls(**{**known, "tolerations": tuple(known.get("tolerations", ()))})


@dataclass(frozen=True)
class Account:
    """Who pays: a GPU quota, members (Airflow user names; `*` is everybody) and the longest a run may take.

    `notify` are the names of its addresses that are notified of all its runs, `watch` the watchdogs of runs whose
    manifests have none, `budget` the GPU hours that it means to use.
    `connections` are those of the service that its manifests may name, None where only the service knows them; `mlflow`
    is that of the MLflow server which its runs are reported to where their manifests name no other.
    """

    name: str
    gpus: int
    members: tuple[str, ...]
    max_hours: float
    custom_images: bool = False
    connections: tuple[str, ...] | None = ()
    mlflow: str | None = None
    notify: tuple[str, ...] = ()
    watch: Watch = NO_WATCH
    budget: Budget | None = None

    @property
    def trackers(self) -> tuple[str, ...] | None:
        """The connections that its manifests may name as tracking."""
        if self.connections is None or self.mlflow is None or self.mlflow in self.connections:
            return self.connections
        return (self.mlflow, *self.connections)

    def has_member(self, user: str) -> bool:
        return "*" in self.members or user in self.members


_OWN_STORE = ("Write address and keys of the store", "write address and keys of the store")
_NO_TRACKING = ("Leave tracking out", "leave tracking out")


def connection_fault(name: str, allowed: Sequence[str] | None, *, tracking: bool = False) -> tuple[str, str] | None:
    """Return message and hint for a connection that an account's manifests may not name; None for one that they may.

    One that does not exist and one of others are refused alike: who may not use it learns nothing of it.
    """
    if allowed is None or name in allowed:
        return None
    first, other = _NO_TRACKING if tracking else _OWN_STORE
    if not allowed:
        hint = f"{first}: quotas.yaml lets the account's manifests name no connection."
    else:
        names = f"one of {', '.join(allowed)}" if len(allowed) > 1 else allowed[0]
        hint = f"Use {names}, or {other}."
    return "the account has no connection of this name.", hint


@dataclass(frozen=True)
class Limits:
    """All of it. Aliases of frameworks (old spellings of a version) are resolved by `framework`."""

    frameworks: tuple[FrameworkImage, ...]
    sizes: Mapping[str, Size]
    accounts: Mapping[str, Account]
    aliases: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    gpu_nodes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    size_aliases: Mapping[str, str] = field(default_factory=dict)

    def size_name(self, text: str) -> str | None:
        """Find the name of a size, in any case and by its other names."""
        name = self.size_aliases.get(text.lower(), text.lower())
        return name if name in self.sizes else None

    def framework(self, name: str, version: str) -> FrameworkImage | None:
        """Find a framework by its name and version, in any case and by its old spellings."""
        wanted = (name.lower(), version.lower())
        wanted = self.aliases.get(wanted, wanted)
        return next((f for f in self.frameworks if (f.name, f.version) == wanted), None)

    def versions_of(self, name: str) -> list[str]:
        """List a framework's versions, found by any of its names."""
        own = self._own_name(name)
        return [f.version for f in self.frameworks if f.name == own]

    def _own_name(self, name: str) -> str:
        wanted = name.lower()
        return next((own for (alias, _), (own, _) in self.aliases.items() if alias == wanted), wanted)

    def name_of(self, name: str) -> str | None:
        """Find a framework's name by any of its names, in any case."""
        own = self._own_name(name)
        return own if any(framework.name == own for framework in self.frameworks) else None

    def spellings_of(self, name: str) -> dict[str, str]:
        """Return every spelling of a framework's versions, each with the version it means."""
        return {version: right for (alias, version), (_, right) in self.aliases.items() if alias == name.lower()}

    def builds_of(self, name: str) -> list[FrameworkImage]:
        return [framework for framework in self.frameworks if framework.name == name]

    def framework_names(self) -> list[str]:
        return sorted({f.name for f in self.frameworks})

    def accounts_of(self, user: str) -> list[Account]:
        return [account for account in self.accounts.values() if account.has_member(user)]
