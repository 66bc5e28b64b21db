"""What the REST interface reports of the service itself, and what only its own tasks and admins ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trainyard.answers.service import (
    AccountUsage,
    AuditEvent,
    AuditPage,
    DatasetAnswer,
    Datasets,
    FrameworkAnswer,
    Frameworks,
    OwnerAnswer,
    Owners,
    Quota,
    SweepReport,
)
from trainyard.client.calls import PAGE, Calls
from trainyard.client.errors import UnreachableError
from trainyard.client.reading import data_of
from trainyard.client.transport import ANSWER_SECONDS
from trainyard.domain.finding import Finding
from trainyard.domain.names import RunKey

# Hundreds of gigabytes of images may have to be fetched.
_EVERY_IMAGE_SECONDS = 6 * 3600.0


class ServiceCalls(Calls):
    """The calls about the service."""

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

    def events(self, wanted: Mapping[str, Any], limit: int | None) -> tuple[list[AuditEvent], bool]:
        """Return the newest wanted events of the audit log, the newest last, and whether there are older ones."""
        found: list[AuditEvent] = []
        params, more = dict(wanted), True
        while more and (limit is None or len(found) < limit):
            count = PAGE if limit is None else min(PAGE, limit - len(found))
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

    def sweep(self, dry_run: bool) -> SweepReport:
        """Remove a batch of what is past its retention, or with `dry_run` say what would go."""
        return self._session.ask(SweepReport, "POST", "/v3/housekeeping", json={"dry_run": dry_run})

    def owners(self, runs: Iterable[RunKey]) -> list[OwnerAnswer]:
        """Return for each run, in their order, whether it is going, is over or is unknown."""
        asked = [{"training_id": run.training_id, "model_id": run.model_id} for run in runs]
        return self._session.ask(Owners, "POST", "/v3/housekeeping/owners", json={"runs": asked}).runs
