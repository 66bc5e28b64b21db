"""A training: the immutable, secret-free spec that every manifest generation is normalised into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainyard.domain.checkpointing import OWN_CHECKPOINTS, Checkpointing
from trainyard.domain.notification import Address, Recipient
from trainyard.domain.schedule import Schedule
from trainyard.domain.search import SearchSpec
from trainyard.domain.watchdogs import NO_WATCH, Watch


@dataclass(frozen=True)
class Author:
    name: str = ""
    email: str = ""

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name and self.email else self.name or self.email


@dataclass(frozen=True)
class Framework:
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Resources:
    """What the manifest asks for: a size by its name, or explicit amounts (FfDL); `memory` is in bytes."""

    size: str | None = None
    gpus: int | None = None
    cpu_millis: int | None = None
    memory: int | None = None
    gpu_type: str | None = None
    nodes: int = 1


@dataclass(frozen=True)
class StoreRef:
    """A bucket in an object store, without the credentials.

    `kind` is `s3` or `bluemix_objectstore` (Swift with Keystone v3); `endpoint` is the S3 endpoint or the
    Keystone auth URL, always with a scheme; `domain` and `project` are Swift's. `connection` is one of the service's,
    which has the S3 endpoint and credentials; `endpoint` is empty then. Of the data only what is below `prefix` counts,
    which ends with `/` unless it is empty.
    """

    kind: str
    bucket: str
    endpoint: str
    region: str | None = None
    domain: str | None = None
    project: str | None = None
    connection: str | None = None
    prefix: str = ""


@dataclass(frozen=True)
class Credentials:
    """Key id and secret of a store (user name and password for Swift). Neither shows in a repr."""

    user: str = field(repr=False)
    secret: str = field(repr=False)


@dataclass(frozen=True)
class TrainingSpec:
    """What is to be trained. `family` is `wml` or `ffdl`; `metrics` is FfDL's evaluation_metrics, kept as data, and
    `metric_patterns` maps a metric to the regular expression that finds it in the log.

    `mlflow` is the connection of the MLflow server that the run is reported to, None where the account says it, empty
    where it is reported to none.
    `env` are variables of the program, `secrets` the names of those that are kept apart. `requirements` says that the
    zip's requirements.txt is installed before the program starts.
    `retries` is how often a pod that the infrastructure took is replaced; None leaves that to the service. With
    a `search` it has a run for each trial, until the best hyperparameters are found.
    """

    name: str
    framework: Framework
    command: str
    resources: Resources
    data: StoreRef
    results: StoreRef
    description: str = ""
    author: Author | None = None
    family: str = "wml"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    metric_patterns: Mapping[str, str] = field(default_factory=dict)
    hyperparameters: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    schedule: Schedule | None = None
    retries: int | None = None
    mlflow: str | None = None
    search: SearchSpec | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    requirements: bool = True
    notify: tuple[Recipient, ...] = ()
    checkpoint: Checkpointing = OWN_CHECKPOINTS
    watch: Watch = NO_WATCH

    def as_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "schedule": self.schedule.as_dict() if self.schedule else None,
            "search": self.search.as_dict() if self.search else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainingSpec:
        """Read a spec back from the catalogue; keys this version does not know are dropped."""
        parts = {
            "framework": _read(Framework, data["framework"]),
            "resources": _read(Resources, data["resources"]),
            "data": _read(StoreRef, data["data"]),
            "results": _read(StoreRef, data["results"]),
            "author": _read(Author, data["author"]) if data.get("author") else None,
            "schedule": Schedule.from_dict(data["schedule"]) if data.get("schedule") else None,
            "checkpoint": Checkpointing.from_dict(data.get("checkpoint", {"shared": True})),
            "watch": Watch.from_dict(data.get("watch")),
            "notify": tuple(map(Recipient.from_dict, data.get("notify", ()))),
            "search": SearchSpec.from_dict(data["search"]) if data.get("search") else None,
            "secrets": tuple(data.get("secrets") or ()),
        }
        spec: TrainingSpec = _read(cls, {**data, **parts})
        return spec


@dataclass(frozen=True)
class Submission:
    """A manifest that was read without a fault: the spec, the two stores' credentials, and what to warn of.

    A store that names a connection has no credentials here. `addresses` has one for each entry of the spec's `notify`,
    None for those that name an address that is kept.
    """

    spec: TrainingSpec
    data_credentials: Credentials | None
    results_credentials: Credentials | None
    warnings: tuple[str, ...] = ()
    addresses: tuple[Address | None, ...] = ()


def _read(cls: Any, data: Mapping[str, Any]) -> Any:
    known = cls.__dataclass_fields__
    return cls(**{key: value for key, value in data.items() if key in known})
