"""What the REST interface does with runs: submit, read, repeat, end them, and what they have stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import httpx

from trainyard.answers.diffs import RunsDiff
from trainyard.answers.metrics import MetricsAnswer
from trainyard.answers.runs import LivePage, RunAnswer, RunDetails, RunPage, StoredFile, StoredPage, Submitted
from trainyard.client.calls import ALL, Calls, place_of
from trainyard.client.commands import Command, ExecResult, Heard, Inputs, collected, converse
from trainyard.client.errors import UnreachableError
from trainyard.client.transport import ANSWER_SECONDS, CountedFile

FilePage = TypeVar("FilePage", StoredPage, LivePage)
_MAX_MATCHES = 20
# A run may wait for a GPU for hours without a line; after this long the connection is made again, in case it is dead.
_SILENT_SECONDS = 300.0


class RunCalls(Calls):
    """The calls about runs."""

    def submit(
        self,
        manifests: Sequence[tuple[str, bytes | BinaryIO]],
        zip_path: Path,
        fields: Mapping[str, str | Sequence[str]],
        progress: Callable[[int], object] | None = None,
        key: str = "",
    ) -> Submitted:
        """Submit manifests (name and content) and a zip; `progress` hears how many bytes of the zip have gone.

        The same key again gets the same answer and registers nothing twice.
        """
        headers = {"Idempotency-Key": key} if key else {}
        with CountedFile(zip_path, progress) as file:
            parts: list[tuple[str, Any]] = [("manifest", (*manifest, "application/yaml")) for manifest in manifests]
            parts.append(("zip", (zip_path.name, file, "application/zip")))
            return self._session.ask(Submitted, "POST", "/v3/models", files=parts, data=dict(fields), headers=headers)

    def runs(self, wanted: Mapping[str, Any] = ALL, limit: int | None = None) -> list[RunAnswer]:
        """Return the runs that the filters let through, the oldest first; with a limit, the newest of them."""
        start = 0 if limit is None else max(0, self._count(wanted) - limit)
        found = self._all(RunPage, "/v3/models", "model_id", wanted, start)
        runs = sorted(found, key=lambda run: run.submitted_at or "")
        return runs if limit is None else runs[-limit:]

    def matching(self, text: str, deleted: bool = False) -> list[RunAnswer]:
        """Return the runs that a text may stand for: a part of an id, at either end, or a name."""
        asked = {"match": text, "limit": _MAX_MATCHES, "offset": 0, **_of_deleted(deleted)}
        return self._session.ask(RunPage, "GET", "/v3/models", params=asked).resources

    def run(self, model_id: str, deleted: bool = False) -> RunDetails:
        """Return a run, with `deleted` also one that is."""
        return self._session.ask(RunDetails, "GET", place_of(model_id), params=_of_deleted(deleted))

    def diff(self, model_id: str, other_id: str) -> RunsDiff:
        """Return what differs between two runs."""
        return self._session.ask(RunsDiff, "GET", f"{place_of(model_id)}/diff/{quote(other_id, safe='')}")

    def rerun(self, model_id: str, asked: Mapping[str, Any], key: str = "") -> Submitted:
        """Start a run that repeats another one, with what is changed of it; the same key again starts nothing twice."""
        headers = {"Idempotency-Key": key} if key else {}
        return self._session.ask(Submitted, "POST", f"{place_of(model_id)}/rerun", json=dict(asked), headers=headers)

    def cancel(self, model_id: str) -> RunAnswer:
        change = [{"op": "replace", "path": "/status/state", "value": "canceled"}]
        return self._session.ask(RunAnswer, "PATCH", place_of(model_id), json=change)

    def delete(self, model_id: str, now: bool = False) -> str | None:
        """Delete a run, for good where it has to be `now`; return until when it can be brought back, None for never."""
        answer = self._remove(place_of(model_id), params={"now": "true"} if now else {})
        return answer.headers.get("x-deleted-until")

    def undelete(self, model_id: str) -> RunAnswer:
        return self._session.ask(RunAnswer, "POST", f"{place_of(model_id)}/undelete")

    @contextmanager
    def log(self, model_id: str, **wanted: Any) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open the log as it comes: where in it the bytes begin, and the bytes.

        `follow` goes on until the run has ended, `offset` begins behind so many bytes, `last` with so many lines.
        """
        params = {key: value for key, value in wanted.items() if value not in (None, False, 0) or key == "last"}
        seconds = _SILENT_SECONDS if wanted.get("follow") else ANSWER_SECONDS
        given = {key: str(value).lower() for key, value in params.items() if value is not None}
        with self._session.streamed(f"{place_of(model_id)}/logs", seconds, params=given) as answer:
            yield int(answer.headers.get("x-log-offset") or 0), answer.iter_bytes()

    def metrics(self, model_id: str, points: int | None = None, since: str = "") -> MetricsAnswer:
        """Return a run's curves, with so many points each at most; with a cursor what is new since."""
        asked = {key: value for key, value in (("points", points), ("since", since)) if value}
        return self._session.ask(MetricsAnswer, "GET", f"{place_of(model_id)}/metrics", params=asked)

    @contextmanager
    def metric_events(self, model_id: str, points: int | None = None, since: str = "") -> Iterator[Iterator[str]]:
        """Open a run's curves as they come: the lines of server-sent events, until the run has ended."""
        asked = {"follow": "true", **({"points": str(points)} if points else {}), **({"since": since} if since else {})}
        with self._session.streamed(f"{place_of(model_id)}/metrics", _SILENT_SECONDS, params=asked) as answer:
            yield answer.iter_lines()

    def results(self, model_id: str) -> list[StoredFile]:
        """Return what a run has stored, however many pages it takes."""
        pages = self._pages(StoredPage, f"{place_of(model_id)}/results")
        return [file for page in pages for file in page.resources]

    def result(self, model_id: str, name: str, start: int) -> Iterator[bytes]:
        """Yield a stored file's bytes from a place on."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        place = f"{place_of(model_id)}/results/{quote(name, safe='')}"
        with self._session.streamed(place, _SILENT_SECONDS, headers=headers) as answer:
            if start and answer.status_code != httpx.codes.PARTIAL_CONTENT:
                raise UnreachableError("the service does not go on where the download stopped", "Use --force.")
            yield from answer.iter_raw()

    def summaries(self, model_id: str) -> list[StoredFile]:
        """Return the TensorBoard summaries of a run that is going."""
        return self._session.ask(StoredPage, "GET", f"{place_of(model_id)}/summaries").resources

    def summary(self, model_id: str, name: str, start: int) -> bytes:
        """Return some of what a summary has from a byte on, empty at its end."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        place = f"{place_of(model_id)}/summaries/{quote(name, safe='')}"
        with self._session.streamed(place, _SILENT_SECONDS, headers=headers) as answer:
            return b"".join(answer.iter_raw())

    def live_files(self, model_id: str) -> tuple[list[StoredFile], list[str]]:
        """Return what lies in the RESULT_DIR of a run that goes on, and what is to be said of what cannot be had."""
        pages = [*self._pages(LivePage, f"{place_of(model_id)}/files")]
        found, last = [file for page in pages for file in page.resources], pages[-1]
        notes = [f"{last.others} of the entries are no files and were left out"] if last.others else []
        return found, notes if last.whole else [*notes, f"there are more files than the {len(found)} that were listed"]

    def live_file(self, model_id: str, name: str) -> Iterator[bytes]:
        """Yield the bytes of a file of a run that goes on, as many as it has now."""
        with self._session.streamed(f"{place_of(model_id)}/files/{quote(name, safe='')}", _SILENT_SECONDS) as answer:
            yield from answer.iter_raw()

    def execute(self, model_id: str, command: Command, content: bytes = b"") -> ExecResult:
        """Run a command in the container of a running program; return all that it wrote."""
        return collected(self._session, f"{place_of(model_id)}/exec", command, content)

    async def converse(self, model_id: str, command: Command, inputs: Inputs, heard: Heard) -> int:
        """Run a command in the container of a running program as somebody who is there; return its exit code."""
        return await converse(self._session, f"{place_of(model_id)}/exec", command, inputs, heard)

    def _pages(self, kind: type[FilePage], place: str) -> Iterator[FilePage]:
        """Yield a listing page by page; there is one at least."""
        wanted = dict[str, str]()
        while True:
            page = self._session.ask(kind, "GET", place, params=wanted)
            yield page
            if not page.continuation or not page.resources:
                return
            wanted = {"continuation": page.continuation}

    def _count(self, wanted: Mapping[str, Any]) -> int:
        return self._session.ask(RunPage, "GET", "/v3/models", params={**wanted, "limit": 1, "offset": 0}).total


def _of_deleted(deleted: bool) -> dict[str, str]:
    # A service of an earlier version need not know of it.
    return {"deleted": "true"} if deleted else {}
