"""The service's REST interface, as one typed object: command line, Python API, inbox and the service's tasks use it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import quote

import httpx

from trainyard.answers.metrics import MetricsAnswer
from trainyard.answers.notify import AddressKept, DeliveryState, NotifyAnswer, Told
from trainyard.answers.runs import (
    RunAnswer,
    RunDetails,
    RunPage,
    ScheduleAnswer,
    SchedulePage,
    StoredFile,
    StoredPage,
    Submitted,
)
from trainyard.answers.searches import SearchAnswer, SearchesSettled
from trainyard.answers.service import (
    AccountUsage,
    AuditEvent,
    AuditPage,
    DatasetAnswer,
    Datasets,
    FrameworkAnswer,
    Frameworks,
    Looked,
    OwnerAnswer,
    Owners,
    Quota,
    SecretAnswer,
    SecretList,
    Settled,
    StoreAnswer,
    StoreList,
    StoreTest,
    SweepReport,
)
from trainyard.client.access import Access
from trainyard.client.documents import DocumentCalls
from trainyard.client.errors import UnreachableError, WrongUsageError
from trainyard.client.reading import data_of, error_of
from trainyard.client.session import Session
from trainyard.client.transport import ANSWER_SECONDS, CountedFile
from trainyard.domain.finding import Finding
from trainyard.domain.names import RunKey

_PAGE = 500
_MAX_MATCHES = 20
_ALL: Mapping[str, Any] = MappingProxyType({})
# A run may wait for a GPU for hours without a line; after this long the connection is made anew, in case it is dead.
_SILENT_SECONDS = 300.0
# Hundreds of gigabytes of images may have to be fetched.
_EVERY_IMAGE_SECONDS = 6 * 3600.0
P = TypeVar("P", RunPage, SchedulePage)


class RestClient:
    """Speaks to one service. Every method raises TrainyardError: the service's own, or one of the client's errors."""

    def __init__(
        self,
        access: Access,
        answer_seconds: float = ANSWER_SECONDS,
        on_pause: Callable[[int], object] | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = access.url
        self._session = Session(access, answer_seconds, on_pause, transport)

    @property
    def documents(self) -> DocumentCalls:
        """What is stored for experiments."""
        return DocumentCalls(self._session, self.url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        # Ctrl-C may strike where httpcore has just taken its lock, which stays taken: to close would wait for ever. The
        # connections end with the process.
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self.close()

    def close(self) -> None:
        self._session.close()

    @property
    def has_answered(self) -> bool:
        """Say whether the service has ever answered this client."""
        return self._session.has_answered

    def sign_in(self, username: str, password: str) -> str:
        """Fetch a token for a name and a password; raise C105 when they are wrong."""
        return self._session.sign_in(username, password)

    def check(self) -> None:
        """Raise unless a Trainyard service answers here and lets the caller in."""
        self._session.ask(RunPage, "GET", "/v3/models", params={"limit": 1, "offset": 0})

    # Runs

    def submit(
        self,
        manifests: Sequence[tuple[str, bytes | BinaryIO]],
        zip_path: Path,
        fields: Mapping[str, str | Sequence[str]],
        progress: Callable[[int], object] | None = None,
        key: str = "",
    ) -> Submitted:
        """Hand in manifests (name and content) and a zip; `progress` hears how many bytes of the zip have gone.

        The same key again gets the same answer and registers nothing twice.
        """
        headers = {"Idempotency-Key": key} if key else {}
        with CountedFile(zip_path, progress) as file:
            parts: list[tuple[str, Any]] = [("manifest", (*manifest, "application/yaml")) for manifest in manifests]
            parts.append(("zip", (zip_path.name, file, "application/zip")))
            return self._session.ask(Submitted, "POST", "/v3/models", files=parts, data=dict(fields), headers=headers)

    def runs(self, wanted: Mapping[str, Any] = _ALL, limit: int | None = None) -> list[RunAnswer]:
        """Return the runs that the filters let through, the oldest first; with a limit, the newest of them."""
        start = 0 if limit is None else max(0, self._count(wanted) - limit)
        found = self._all(RunPage, "/v3/models", "model_id", wanted, start)
        runs = sorted(found, key=lambda run: run.submitted_at or "")
        return runs if limit is None else runs[-limit:]

    def matching(self, text: str) -> list[RunAnswer]:
        """Return the runs that a text may stand for: a part of an id, at either end, or a name."""
        asked = {"match": text, "limit": _MAX_MATCHES, "offset": 0}
        return self._session.ask(RunPage, "GET", "/v3/models", params=asked).resources

    def run(self, model_id: str) -> RunDetails:
        return self._session.ask(RunDetails, "GET", _place(model_id))

    def rerun(self, model_id: str, asked: Mapping[str, Any], key: str = "") -> Submitted:
        """Start a run that repeats another one, with what is changed of it; the same key again starts nothing twice."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._session.ask(Submitted, "POST", f"{_place(model_id)}/rerun", json=dict(asked), headers=headers)

    def cancel(self, model_id: str) -> RunAnswer:
        change = [{"op": "replace", "path": "/status/state", "value": "canceled"}]
        return self._session.ask(RunAnswer, "PATCH", _place(model_id), json=change)

    def delete(self, model_id: str) -> None:
        answer = self._session.send("DELETE", _place(model_id))
        if not answer.is_success:
            raise error_of(self.url, answer.status_code, answer.content)

    @contextmanager
    def log(self, model_id: str, **wanted: Any) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open the log as it comes: where in it the bytes begin, and the bytes.

        `follow` goes on until the run has ended, `offset` begins behind so many bytes, `last` with so many lines.
        """
        params = {key: value for key, value in wanted.items() if value not in (None, False, 0) or key == "last"}
        seconds = _SILENT_SECONDS if wanted.get("follow") else ANSWER_SECONDS
        given = {key: str(value).lower() for key, value in params.items() if value is not None}
        with self._session.streamed(f"{_place(model_id)}/logs", seconds, params=given) as answer:
            yield int(answer.headers.get("x-log-offset") or 0), answer.iter_bytes()

    def metrics(self, model_id: str, points: int | None = None, since: str = "") -> MetricsAnswer:
        """Return a run's curves, with so many points each at most; with a cursor what is new since."""
        asked = {key: value for key, value in (("points", points), ("since", since)) if value}
        return self._session.ask(MetricsAnswer, "GET", f"{_place(model_id)}/metrics", params=asked)

    @contextmanager
    def metric_events(self, model_id: str, points: int | None = None, since: str = "") -> Iterator[Iterator[str]]:
        """Open a run's curves as they come: the lines of server-sent events, until the run has ended."""
        asked = {"follow": "true", **({"points": str(points)} if points else {}), **({"since": since} if since else {})}
        with self._session.streamed(f"{_place(model_id)}/metrics", _SILENT_SECONDS, params=asked) as answer:
            yield answer.iter_lines()

    def results(self, model_id: str) -> list[StoredFile]:
        """Return what a run has stored, however many pages it takes."""
        found: list[StoredFile] = []
        place, wanted = f"{_place(model_id)}/results", dict[str, str]()
        while True:
            page = self._session.ask(StoredPage, "GET", place, params=wanted)
            found += page.resources
            if not page.continuation or not page.resources:
                return found
            wanted = {"continuation": page.continuation}

    def result(self, model_id: str, name: str, start: int) -> Iterator[bytes]:
        """Yield a stored file's bytes from a place on."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        place = f"{_place(model_id)}/results/{quote(name, safe='')}"
        with self._session.streamed(place, _SILENT_SECONDS, headers=headers) as answer:
            if start and answer.status_code != httpx.codes.PARTIAL_CONTENT:
                raise UnreachableError("the service does not go on where the download stopped", "Use --force.")
            yield from answer.iter_raw()

    def summaries(self, model_id: str) -> list[StoredFile]:
        """Return the TensorBoard summaries of a run that is going."""
        return self._session.ask(StoredPage, "GET", f"{_place(model_id)}/summaries").resources

    def summary(self, model_id: str, name: str, start: int) -> bytes:
        """Return some of what a summary has from a byte on, empty at its end."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        place = f"{_place(model_id)}/summaries/{quote(name, safe='')}"
        with self._session.streamed(place, _SILENT_SECONDS, headers=headers) as answer:
            return b"".join(answer.iter_raw())

    # Schedules

    def schedules(self) -> list[ScheduleAnswer]:
        """Return the schedules, the next due first."""
        return self._all(SchedulePage, "/v3/schedules", "training_id")

    def schedule(self, training_id: str) -> ScheduleAnswer:
        return self._session.ask(ScheduleAnswer, "GET", _place(training_id, "schedules"))

    def change_schedule(self, training_id: str, state: str) -> ScheduleAnswer:
        """Bring a schedule into a state: `paused`, `active`, or for good `ended`."""
        change = [{"op": "replace", "path": "/state", "value": state}]
        return self._session.ask(ScheduleAnswer, "PATCH", _place(training_id, "schedules"), json=change)

    # Searches

    def search(self, name: str) -> SearchAnswer:
        """Return a search by its experiment, its training or one of its trials."""
        return self._session.ask(SearchAnswer, "GET", _place(name, "searches"))

    def change_search(self, name: str, state: str) -> SearchAnswer:
        """Bring a search into a state: `paused`, `running`, or for good `canceled`."""
        change = [{"op": "replace", "path": "/state", "value": state}]
        return self._session.ask(SearchAnswer, "PATCH", _place(name, "searches"), json=change)

    def extend_search(self, name: str, trials: int) -> SearchAnswer:
        """Give a search so many trials more."""
        change = [{"op": "add", "path": "/trials", "value": trials}]
        return self._session.ask(SearchAnswer, "PATCH", _place(name, "searches"), json=change)

    def settle_searches(self) -> float | None:
        """Start and end trials as their searches say; return after how many seconds to look again."""
        return self._session.ask(SearchesSettled, "POST", "/v3/searches/due").again_seconds

    # The service

    def frameworks(self) -> list[FrameworkAnswer]:
        return self._session.ask(Frameworks, "GET", "/v3/frameworks").resources

    def quota(self) -> list[AccountUsage]:
        """Return the caller's accounts with what they own and use."""
        return self._session.ask(Quota, "GET", "/v3/quota").resources

    def sync_quota(self) -> list[AccountUsage]:
        """Make the accounts' pools as large as quotas.yaml says, and return the accounts; for admins."""
        return self._session.ask(Quota, "POST", "/v3/quota").resources

    def datasets(self) -> list[DatasetAnswer]:
        """Return the cached datasets that the caller may know of."""
        return self._session.ask(Datasets, "GET", "/v3/datasets").resources

    def secrets(self) -> list[SecretAnswer]:
        """Return the secrets that are kept for the caller and their accounts, without their values."""
        return self._session.ask(SecretList, "GET", "/v3/secrets").resources

    def keep_secret(self, name: str, value: str, account: str | None = None) -> SecretAnswer:
        return self._session.ask(SecretAnswer, "PUT", _secret(name), json={"value": value}, params=_paid(account))

    def forget_secret(self, name: str, account: str | None = None) -> None:
        answer = self._session.send("DELETE", _secret(name), params=_paid(account))
        if not answer.is_success:
            raise error_of(self.url, answer.status_code, answer.content)

    def stores(self) -> list[StoreAnswer]:
        """Return the stores that are kept for the caller and their accounts, without their keys."""
        return self._session.ask(StoreList, "GET", "/v3/stores").resources

    def keep_store(
        self, name: str, endpoint: str, key_id: str, secret: str, region: str = "", account: str | None = None
    ) -> StoreAnswer:
        given = {"endpoint_url": endpoint, "access_key_id": key_id, "secret_access_key": secret, "region": region}
        return self._session.ask(StoreAnswer, "PUT", _store(name), json=given, params=_paid(account))

    def test_store(self, name: str, bucket: str, account: str | None = None) -> StoreTest:
        place = f"{_store(name)}/buckets/{quote(bucket, safe='')}"
        return self._session.ask(StoreTest, "GET", place, params=_paid(account))

    def forget_store(self, name: str, account: str | None = None) -> None:
        answer = self._session.send("DELETE", _store(name), params=_paid(account))
        if not answer.is_success:
            raise error_of(self.url, answer.status_code, answer.content)

    def events(self, wanted: Mapping[str, Any], limit: int | None) -> tuple[list[AuditEvent], bool]:
        """Return the newest wanted events of the audit log, the newest last, and whether there are older ones."""
        found: list[AuditEvent] = []
        params, more = dict(wanted), True
        while more and (limit is None or len(found) < limit):
            count = _PAGE if limit is None else min(_PAGE, limit - len(found))
            asked = {**params, "limit": count, "offset": len(found)}
            page = self._session.ask(AuditPage, "GET", "/v3/audit", params=asked)
            # What is recorded meanwhile must not shift the pages.
            params["until"], more = page.until, bool(page.resources) and page.more
            found += page.resources
        return found[::-1], more

    def doctor(self, wishes: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield what the service finds wrong or well with itself, as it comes."""
        seconds = float(wishes["wait_seconds"]) + ANSWER_SECONDS
        if wishes["every_image"]:
            seconds = _EVERY_IMAGE_SECONDS
        with self._session.streamed("/v3/doctor", seconds, "POST", json=wishes) as answer:
            for line in answer.iter_lines():
                data = data_of(self.url, answer.status_code, line.encode())
                if data.get("done"):
                    return
                yield Finding.from_dict(data)
        raise UnreachableError("the service broke off before it had looked at everything", "Try again.")

    # What only the service's own tasks ask

    def sweep(self, dry_run: bool) -> SweepReport:
        """Remove a batch of what is past its retention, or with `dry_run` say what would go."""
        return self._session.ask(SweepReport, "POST", "/v3/housekeeping", json={"dry_run": dry_run})

    def owners(self, runs: Iterable[RunKey]) -> list[OwnerAnswer]:
        """Return for each run, in their order, whether it is going, is over or is unknown."""
        asked = [{"training_id": run.training_id, "model_id": run.model_id} for run in runs]
        return self._session.ask(Owners, "POST", "/v3/housekeeping/owners", json={"runs": asked}).runs

    def tell_waiting(self) -> int:
        """Notify people of the runs that wait for too long; return how many notifications that made."""
        return self._session.ask(Told, "POST", "/v3/notify/waiting").notifications

    def addresses(self) -> NotifyAnswer:
        """Return the addresses that are kept for the caller, and what did not arrive."""
        return self._session.ask(NotifyAnswer, "GET", "/v3/notify")

    def keep_address(self, name: str, given: Mapping[str, Any]) -> AddressKept:
        """Keep an address under a name; what was there is replaced."""
        return self._session.ask(AddressKept, "PUT", _place(name, "notify"), json=dict(given))

    def remove_address(self, name: str, account: str | None = None) -> None:
        answer = self._session.send("DELETE", _place(name, "notify"), params={"account": account} if account else {})
        if not answer.is_success:
            raise error_of(self.url, answer.status_code, answer.content)

    def test_address(self, name: str, account: str | None = None) -> DeliveryState:
        """Send a test to an address."""
        params = {"account": account} if account else {}
        return self._session.ask(DeliveryState, "POST", f"{_place(name, 'notify')}/test", params=params)

    def delivery(self, number: str) -> DeliveryState:
        """Return what became of a notification."""
        return self._session.ask(DeliveryState, "GET", f"/v3/notify/deliveries/{quote(number, safe='')}")

    def retry_notifications(self) -> int:
        """Let all that was given up be tried again; return how many that are."""
        return self._session.ask(Told, "POST", "/v3/notify/retry").notifications

    def start_due(self) -> Settled:
        """Start every scheduled run that is due; return which, and which data has to be looked at."""
        return self._session.ask(Settled, "POST", "/v3/schedules/due")

    def report_look(self, training_id: str, due: float, seen: Mapping[str, Any]) -> str | None:
        """Tell which version of its data a training has, or why that is not known; return the run that this started."""
        place = f"{_place(training_id, 'schedules')}/looks"
        return self._session.ask(Looked, "POST", place, json={"due": due, **seen}).started

    def _count(self, wanted: Mapping[str, Any]) -> int:
        return self._session.ask(RunPage, "GET", "/v3/models", params={**wanted, "limit": 1, "offset": 0}).total

    def _all(self, kind: type[P], place: str, key: str, wanted: Mapping[str, Any] = _ALL, start: int = 0) -> list[Any]:
        """Return what every page from a start on has, once each; `key` tells one from another."""
        found: dict[str, Any] = {}
        # What comes and goes between two pages shifts the pages: look again until as many are known as there are.
        for _ in range(3):
            if self._collect(found, kind, place, key, wanted, start) - start <= len(found):
                break
        return list(found.values())

    def _collect(
        self, found: dict[str, Any], kind: type[P], place: str, key: str, wanted: Mapping[str, Any], offset: int
    ) -> int:
        """Add what every page from the offset on has to what was found; return how many there are."""
        while True:
            page = self._session.ask(kind, "GET", place, params={**wanted, "limit": _PAGE, "offset": offset})
            found.update((getattr(row, key), row) for row in page.resources)
            offset += len(page.resources)
            if not page.resources or offset >= page.total:
                return page.total


def _paid(account: str | None) -> dict[str, str]:
    return {"account": account} if account else {}


def _store(name: str) -> str:
    if not name.strip("./ "):
        raise WrongUsageError("this cannot be the name of a store", "Use lower-case letters, digits and dashes.")
    return f"/v3/stores/{quote(name, safe='')}"


def _secret(name: str) -> str:
    if not name.strip("./ "):
        raise WrongUsageError("this cannot be the name of a secret", "Name it as WANDB_API_KEY is named.")
    return f"/v3/secrets/{quote(name, safe='')}"


def _place(model_id: str, among: str = "models") -> str:
    if not model_id.strip("./ "):
        raise WrongUsageError(f"{model_id!r} is no model id", "`trainyard list` shows the model ids there are.")
    return f"/v3/{among}/{quote(model_id, safe='')}"
