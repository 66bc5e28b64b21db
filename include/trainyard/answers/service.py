"""The service itself: frameworks, accounts, datasets, its audit log, and what its own tasks ask."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from trainyard.answers.base import Moment, Whole


class SchemaAnswer(Whole):
    """A JSON Schema of a manifest or a configuration file, and its address."""

    name: str
    title: str
    url: str


class Schemas(Whole):
    """The JSON Schemas that there are."""

    resources: list[SchemaAnswer]
    total: int


class FrameworkAnswer(Whole):
    """A framework's version: its image, and the interpreter that `python` means in it."""

    name: str
    version: str
    image: str = ""
    interpreter: str = ""
    python: str = ""
    devices: str = ""
    launcher: str = ""


class Frameworks(Whole):
    """The frameworks and versions that there are."""

    resources: list[FrameworkAnswer]


class BudgetAnswer(Whole):
    """GPU hours that an account means to use in a period, and what it has used of them."""

    gpu_hours: float
    per: str
    used: float


class AccountUsage(Whole):
    """What an account owns and uses, in GPUs; `gpu_hours` are those of the last days."""

    account: str
    gpus: int = 0
    used: int = 0
    waiting_runs: int = 0
    waiting_gpus: int = 0
    gpu_hours: float = 0.0
    budget: BudgetAnswer | None = None


class Quota(Whole):
    """The caller's accounts."""

    resources: list[AccountUsage]
    days: int = 7


class SecretAnswer(Whole):
    """A secret that is kept, by its name; `account` is null for one of the caller's own."""

    name: str
    account: str | None = None
    changed_at: Moment | None = None
    changed_by: str = ""


class SecretList(Whole):
    """The secrets that the caller may name in manifests."""

    resources: list[SecretAnswer]
    total: int = 0


class StoreAnswer(Whole):
    """A store that is kept, by its name; `account` is null for one of the caller's own."""

    name: str
    account: str | None = None
    endpoint_url: str = ""
    region: str = ""
    changed_at: Moment | None = None
    changed_by: str = ""


class StoreList(Whole):
    """The stores that the caller may name in manifests."""

    resources: list[StoreAnswer]
    total: int = 0


class StoreTest(Whole):
    """That the keys of a store open a bucket, and whether it has nothing."""

    name: str
    bucket: str
    empty: bool = False


class StoredObject(Whole):
    """An object of a bucket; `md5` is the digest of its content in hex, where the store reports that."""

    key: str
    size: int
    etag: str = ""
    md5: str | None = None


class ObjectPage(Whole):
    """Objects of a bucket in the order of their keys; asked with `continuation`, the next page comes."""

    store: str
    bucket: str
    resources: list[StoredObject]
    continuation: str | None = None


class DatasetAnswer(Whole):
    """A version in the dataset cache; `size` is in bytes."""

    name: str
    version: str = ""
    size: int = 0
    files: int = 0
    users: int = 0
    hits: int = 0
    last_used: Moment | None = None


class Datasets(Whole):
    """The versions in the dataset cache."""

    resources: list[DatasetAnswer]
    total: int = 0


class AuditEvent(Whole):
    """One event of the audit log; what does not apply is empty."""

    time: str
    actor: str = ""
    action: str = ""
    admin: bool = False
    account: str = ""
    training: str = ""
    run: str = ""
    remote: str = ""
    result: str = ""
    code: str = ""
    details: dict[str, Any] = Field(default_factory=dict)


class AuditPage(Whole):
    """A page of events, the newest first; `until` is what to ask for the next page with."""

    resources: list[AuditEvent]
    until: str
    more: bool = False
    limit: int = 0
    offset: int = 0


class Removal(Whole):
    """Something that could not be removed, and why."""

    name: str
    reason: str


class SweepReport(Whole):
    """What housekeeping removed, or would remove; `left` runs are for the next sweep."""

    dry_run: bool
    failed: list[Removal]
    runs: list[str]
    trainings: list[str]
    datasets: list[str]
    orphans: list[str]
    own_runs: list[str]
    left: int


class OwnerAnswer(Whole):
    """Whether a run is `going`, `over` or `unknown`; `ended_at` is in seconds since the epoch."""

    state: str
    ended_at: float | None = None


class Owners(Whole):
    """The runs that were asked about, in their order."""

    runs: list[OwnerAnswer]


class Look(Whole):
    """A training whose data has to be looked at."""

    training_id: str
    due: float


class Settled(Whole):
    """Which runs were started since they were due, and which data has to be looked at."""

    started: list[str]
    looks: list[Look]


class Looked(Whole):
    """The run that new data has started, if any."""

    started: str | None = None
