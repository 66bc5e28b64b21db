"""Every setting is a row: name, type, default, help; read once into a frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from trainyard.errors import TrainyardError
from trainyard.quantity import memory_bytes

PREFIX = "TRAINYARD_"


@dataclass(frozen=True)
class Row:
    """One setting, read from the environment variable `TRAINYARD_<NAME>`."""

    name: str
    read: Callable[[str], Any]
    default: str
    help: str

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


def _from_zero(text: str) -> float:
    amount = float(text)
    if not 0 <= amount < float("inf"):
        raise ValueError("it has to be 0 or more")
    return amount


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError("it has to be 0 or more")
    return count


def _bytes_or_none(text: str) -> int:
    return 0 if text == "0" else memory_bytes(text)


def _from_mebibyte(text: str) -> int:
    size = memory_bytes(text)
    if size < 1024**2:
        raise ValueError("it has to be 1MiB or more")
    return size


def _at_least_one(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError("it has to be 1 or more")
    return count


def _more_than_zero(text: str) -> float:
    seconds = _from_zero(text)
    if not seconds:
        raise ValueError("it has to be more than 0")
    return seconds


def _names(text: str) -> tuple[str, ...]:
    return tuple(each for each in (part.strip().lower() for part in text.split(",")) if each)


def _hosts_with_ports(text: str) -> tuple[tuple[str, int], ...]:
    found = []
    for name in _names(text):
        host, colon, port = name.rpartition(":")
        if not (colon and host and port.isdecimal() and 0 < int(port) < 65536) or (":" in host and host[0] != "["):
            raise ValueError(f"{name!r} is no host with its port")
        found.append((host.strip("[]"), int(port)))
    return tuple(found)


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("it has to be true or false")
    return text == "true"


def _segment_bytes(text: str) -> int:
    size = memory_bytes(text)
    if not 1 <= size <= 5 * 1024**3:
        raise ValueError("Swift takes at least 1 byte and at most 5GiB")
    return size


def _setting(read: Callable[[str], Any], default: str, help_text: str) -> Any:
    return field(metadata={"read": read, "default": default, "help": help_text})


@dataclass(frozen=True)
class Settings:
    """All settings, in the order in which the documents list them."""

    catalogue: Path = _setting(
        Path, ".trainyard/catalogue", "Folder of the registered trainings: spec and zip of each."
    )
    workspace: Path = _setting(Path, ".trainyard/workspace", "Folder that workers and training pods share.")
    frameworks_file: str = _setting(str, "", "frameworks.yaml to use; empty is the shipped one.")
    sizes_file: str = _setting(str, "", "sizes.yaml to use; empty is the shipped one.")
    quotas_file: str = _setting(str, "", "quotas.yaml to use; empty is the shipped one.")
    manifest_max_bytes: int = _setting(memory_bytes, "1MiB", "Largest manifest that is read.")
    deleted_keep_seconds: float = _setting(
        _from_zero, "86400", "Seconds in which a deleted run can be brought back; 0 removes it at once."
    )
    zip_max_bytes: int = _setting(memory_bytes, "1GiB", "Largest zip that is received.")
    object_max_bytes: int = _setting(memory_bytes, "100GiB", "Largest object that `trainyard data put` may store.")
    zip_max_unpacked: int = _setting(memory_bytes, "1GiB", "Most bytes a zip may hold unpacked.")
    zip_max_entries: int = _setting(int, "10000", "Most entries a zip may have.")
    zip_max_ratio: float = _setting(float, "100", "Highest ratio of unpacked to packed bytes of a zip.")
    upload_seconds: float = _setting(float, "3600", "Seconds that a submission or an object may take to arrive.")
    upload_min_rate: int = _setting(memory_bytes, "16KiB", "Bytes a second that these have to arrive with on average.")
    member_submissions_per_minute: int = _setting(_count, "60", "Submissions a minute of one member; 0 is no limit.")
    member_streams: int = _setting(
        _count, "8", "Submissions, uploads, downloads, logs and metrics of one member at once; 0 is no limit."
    )
    member_requests: int = _setting(
        _count, "6", "Other requests of one member that are answered at once, the next wait; 0 is no limit."
    )
    member_bytes_per_minute: int = _setting(
        _bytes_or_none, "4GiB", "Bytes a minute of one member, both ways; 0 is no limit."
    )
    exec_sessions: int = _setting(_count, "32", "Commands in runs at once, of all members; 0 is no limit.")
    exec_member_sessions: int = _setting(_count, "4", "How many of these may be of one member; 0 is no limit.")
    exec_idle_seconds: float = _setting(
        _more_than_zero, "900", "Seconds that a command in a run may neither read nor write."
    )
    exec_seconds: float = _setting(_more_than_zero, "14400", "Seconds that a command in a run may take.")
    login_max_delay_seconds: float = _setting(_from_zero, "30", "Longest wait that failed logins cause; 0 is none.")
    airflow_request_max_bytes: int = _setting(
        memory_bytes, "256KiB", "Largest request that Airflow's own API and login take."
    )
    kubernetes_connection: str = _setting(str, "kubernetes_default", "Airflow connection of the cluster that trains.")
    namespace: str = _setting(str, "default", "Kubernetes namespace of the training pods.")
    workspace_volume: str = _setting(str, "", "What pods mount as workspace: `claim:NAME`, or a folder of the node's.")
    pod_poll_seconds: float = _setting(float, "10", "Seconds between two looks of the triggerer at a training pod.")
    grace_seconds: int = _setting(int, "30", "Seconds between SIGTERM and SIGKILL when a run is canceled.")
    pod_user: int = _setting(
        int, "50000", "User id of training pods: the workers' own, so that both may write the workspace."
    )
    pod_group: int = _setting(int, "0", "Group id of training pods: the workers' own.")
    pod_scratch_bytes: int = _setting(_from_mebibyte, "20GiB", "Most that a run may write to /tmp and HOME.")
    pod_log_bytes: int = _setting(_from_mebibyte, "1GiB", "Most of a run's output that its log keeps.")
    pod_read_only_root: bool = _setting(_switch, "true", "Whether a container's root file system is read-only.")
    pod_priority_prefix: str = _setting(
        str, "", "Beginning of the names of the accounts' priority classes; empty sets none."
    )
    kueue_queue: str = _setting(str, "", "Local queue of Kueue that training pods go through; empty names none.")
    placement_seconds: float = _setting(
        _more_than_zero, "60", "Seconds that learners with a node wait for those without before all are taken back."
    )
    first_learner_seconds: float = _setting(
        _from_zero, "60", "Seconds that other learners may go on after the first has ended."
    )
    image_timeout_seconds: int = _setting(int, "600", "Seconds a framework image may take to arrive on its node.")
    api_outage_seconds: int = _setting(int, "600", "Seconds the Kubernetes API may be silent before a run is given up.")
    pod_retries: int = _setting(
        int, "2", "Attempts after the first when the infrastructure took the pod, where the manifest has no retries."
    )
    janitor_grace_seconds: float = _setting(
        _from_zero, "300", "Seconds after a run's end until the janitor takes what it left."
    )
    transfer_slots: int = _setting(_at_least_one, "2", "Stagings and uploads of one account that run at the same time.")
    check_slots: int = _setting(_at_least_one, "2", "Runs of one account whose stores are checked at the same time.")
    cleanup_slots: int = _setting(_at_least_one, "2", "Runs of one account that are cleaned up at the same time.")
    cpu_slots: int = _setting(int, "8", "Runs without a GPU that train at the same time.")
    transfer_threads: int = _setting(
        int, "16", "Objects, or parts of large ones, of one run that move at the same time."
    )
    transfer_stall_seconds: float = _setting(
        float, "120", "Seconds that a transfer may stand still before it is given up."
    )
    disk_reserve_bytes: int = _setting(memory_bytes, "1GiB", "Bytes of the workspace's disk that downloads leave free.")
    s3_addressing: str = _setting(
        str, "auto", "How S3 buckets are named in URLs: `path`, `virtual`, or `auto`: virtual at AWS only."
    )
    swift_segment_bytes: int = _setting(
        _segment_bytes, "4GiB", "Size above which a file is stored in Swift in segments, none of which is larger."
    )
    ca_bundle: str = _setting(
        str, "", "File of the authorities that sign the stores' certificates; empty is the usual ones."
    )
    store_hosts: tuple[str, ...] = _setting(
        _names, "", "Patterns of the hosts, and networks, that stores may be at; empty is all others."
    )
    store_internal: tuple[tuple[str, int], ...] = _setting(
        _hosts_with_ports, "", "Hosts with ports, `HOST:PORT`, that stores may be at though inside."
    )
    store_denied: tuple[str, ...] = _setting(
        _names, "", "Hosts, addresses and networks of the service, which no store may be at."
    )
    store_call_seconds: float = _setting(
        _more_than_zero, "300", "Seconds that one call of a store may be waited for in all."
    )
    store_answer_seconds: float = _setting(
        _more_than_zero, "60", "The same where an answer of the REST interface waits for it."
    )
    store_listing_seconds: float = _setting(
        _more_than_zero, "3600", "Seconds that all pages of a listing may be waited for."
    )
    store_max_keys: int = _setting(_at_least_one, "1000000", "Most objects that a bucket may list.")
    store_max_pages: int = _setting(_at_least_one, "10000", "Most pages that a listing may have.")
    store_requests: int = _setting(
        _at_least_one, "32", "Requests to the REST interface that may wait for stores at a time."
    )
    store_requests_per_account: int = _setting(
        _at_least_one, "4", "How many of these may be for the runs of one account."
    )
    tracking_seconds: float = _setting(
        _more_than_zero, "60", "Seconds that the end of a run may be held by its MLflow server."
    )
    notify_poll_seconds: float = _setting(
        _more_than_zero, "2", "Seconds between two looks of the triggerer at the notifications to deliver."
    )
    notify_waiting_seconds: float = _setting(
        _from_zero, "3600", "Seconds after which people are notified of a run that still waits; 0 is never."
    )
    mail_connection: str = _setting(
        str,
        "",
        "Airflow connection, of the type smtp, of the server for `mailto:` addresses; empty is none.",
    )
    retention_days: float = _setting(_from_zero, "7", "Days that a finished run stays in the history.")
    audit_log: str = _setting(
        str, "", "Folder of the audit log, `-` for standard output; empty is `.audit` in the catalogue."
    )
    audit_days: float = _setting(_from_zero, "365", "Days that the audit log is kept.")
    audit_max_bytes: int = _setting(
        _from_mebibyte, "1GiB", "Size above which the oldest files of the audit log are removed."
    )
    dataset_cache_max_bytes: int = _setting(memory_bytes, "100GiB", "Size above which unused datasets are evicted.")
    schedule_poll_seconds: float = _setting(
        float, "5", "Seconds between two looks of the triggerer at what schedules have due."
    )
    schedule_late_seconds: float = _setting(
        float, "600", "Seconds after which a scheduled run that was missed is not started."
    )
    inbox: str = _setting(str, "", "URL of the watched bucket, container or folder; empty watches none.")
    inbox_connection: str = _setting(str, "trainyard_inbox", "Airflow connection with the credentials of the inbox.")
    inbox_poll_seconds: float = _setting(float, "5", "Seconds between two looks of the triggerer at the inbox.")
    inbox_settle_seconds: float = _setting(
        float, "2", "Seconds that a drop must not have changed before it is submitted."
    )
    inbox_wait_seconds: float = _setting(float, "86400", "Seconds that a half-written drop is waited for.")
    inbox_threads: int = _setting(int, "8", "Drops that are submitted at the same time.")
    folder_stores: str = _setting(str, "", "Folder in which stores of kind `folder` may lie; empty allows none.")


ROWS = tuple(Row(each.name, **each.metadata) for each in fields(Settings))


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read all settings from a mapping such as os.environ.

    Raise TrainyardError S500 with the name and value of a setting that cannot be read.
    """
    return Settings(**{row.name: _value(row, environ.get(row.variable, row.default)) for row in ROWS})


def _value(row: Row, text: str) -> Any:
    try:
        return row.read(text)
    except ValueError as error:
        message = f"setting {row.variable} cannot be {text!r}: {error}"
        raise TrainyardError("S500", message, f"{row.help} The default is {row.default!r}.") from None


_PACKAGE = Path(__file__).resolve().parent
# An installed wheel carries the files inside the package; a checkout has them where people edit them.
_PLACES = {
    "schemas": (_PACKAGE / "_data" / "schemas", _PACKAGE.parents[1] / "schemas"),
    "config": (_PACKAGE / "_data" / "config", _PACKAGE.parent / "config"),
}


def data_file(name: str) -> Path:
    """Return the path of a shipped file such as `schemas/manifest.schema.json` or `config/sizes.yaml`.

    Raise TrainyardError S500 if it is not there.
    """
    folder, _, rest = name.partition("/")
    for place in _PLACES.get(folder, ()):
        if (place / rest).is_file():
            return place / rest
    raise TrainyardError("S500", f"the shipped file {name} is missing", "Install Trainyard again.")


def limits_files(settings: Settings) -> tuple[Path, Path, Path]:
    """Return the files of frameworks, sizes and quotas: those that the settings name, else the shipped ones."""
    return (
        _limits_file("frameworks", settings.frameworks_file),
        _limits_file("sizes", settings.sizes_file),
        _limits_file("quotas", settings.quotas_file),
    )


def _limits_file(name: str, named: str) -> Path:
    return Path(named) if named else data_file(f"config/{name}.yaml")
