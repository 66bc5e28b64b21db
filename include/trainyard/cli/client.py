"""The service's REST interface, as one object; all the network there is in the command line."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import httpx

from trainyard.cli.answers import data_of, error_of
from trainyard.cli.config import Access, find_access, warnings_of
from trainyard.cli.errors import UnreachableError, WrongUsageError
from trainyard.cli.output import remark, warn
from trainyard.cli.transport import ANSWER_SECONDS, CONNECT_SECONDS, CountedFile, http_client, pause_asked, translated
from trainyard.domain.finding import Finding
from trainyard.errors import TrainyardError

_PAGE = 500
_ALL: Mapping[str, Any] = MappingProxyType({})
# A run may wait for a GPU for hours without a line; after this long the connection is made anew, in case it is dead.
_SILENT_SECONDS = 300.0
# Hundreds of gigabytes of images may have to be fetched.
_EVERY_IMAGE_SECONDS = 6 * 3600.0
# For so long altogether a request is sent again because the service asks to wait.
_PAUSE_SECONDS = 180
Run = dict[str, Any]


class FrontDoor:
    """Speaks to one service. Every method raises TrainyardError: the service's own, or UnreachableError."""

    def __init__(self, access: Access) -> None:
        self.url = access.url
        self._access = access
        self._token = access.token
        self._http = http_client(access.url)

    def __enter__(self) -> FrontDoor:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def sign_in(self, username: str, password: str) -> str:
        """Fetch a token for a name and a password; raise C105 when they are wrong."""
        self._token = None
        answer = self._patiently("POST", "/auth/token", json={"username": username, "password": password})
        if answer.status_code == 401:
            hint = "Check both; `trainyard login` asks for them again."
            raise TrainyardError("C105", f"{self.url} does not know this user name with this password", hint)
        self._token = str(data_of(self.url, answer.status_code, answer.content, "access_token")["access_token"])
        return self._token

    def submit(
        self,
        manifests: Sequence[tuple[str, bytes]],
        zip_path: Path,
        fields: Mapping[str, str | Sequence[str]],
        progress: Callable[[int], None] | None = None,
    ) -> dict[str, Any]:
        """Hand in manifests (name and bytes) and a zip; `progress` hears how many bytes of the zip have gone."""
        with CountedFile(zip_path, progress) as file:
            parts: list[tuple[str, Any]] = [("manifest", (*manifest, "application/yaml")) for manifest in manifests]
            parts.append(("zip", (zip_path.name, file, "application/zip")))
            return self._data("POST", "/v3/models", "model_id", files=parts, data=dict(fields))

    def runs(self, wanted: Mapping[str, Any] = _ALL, limit: int | None = None) -> list[Run]:
        """Return the runs that the filters let through, the oldest first; with a limit, the newest of them."""
        start = 0 if limit is None else max(0, self._count(wanted) - limit)
        found = self._all("/v3/models", "model_id", wanted, start)
        runs = sorted(found, key=lambda run: str(run.get("submitted_at") or ""))
        return runs if limit is None else runs[-limit:]

    def results(self, model_id: str) -> list[dict[str, Any]]:
        """Return what a run has stored, each with `name` and `size`, however many pages it takes."""
        found: list[dict[str, Any]] = []
        place, wanted = f"{_place(model_id)}/results", dict[str, str]()
        while True:
            page = self._data("GET", place, "resources", params=wanted)
            found += page["resources"]
            if not page.get("continuation") or not page["resources"]:
                return found
            wanted = {"continuation": str(page["continuation"])}

    def result(self, model_id: str, name: str, start: int) -> Iterator[bytes]:
        """Yield a stored file's bytes from a place on."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        place = f"{_place(model_id)}/results/{quote(name, safe='')}"
        with self._streamed(place, _SILENT_SECONDS, headers=headers) as answer:
            if start and answer.status_code != 206:
                raise UnreachableError("the service does not go on where the download stopped", "Use --force.")
            yield from answer.iter_raw()

    def run(self, model_id: str) -> Run:
        return self._data("GET", _place(model_id), "model_id", "state")

    def cancel(self, model_id: str) -> Run:
        change = [{"op": "replace", "path": "/status/state", "value": "canceled"}]
        return self._data("PATCH", _place(model_id), "model_id", "state", json=change)

    def delete(self, model_id: str) -> None:
        answer = self._send("DELETE", _place(model_id))
        if not answer.is_success:
            raise error_of(self.url, answer.status_code, answer.content)

    def schedules(self) -> list[dict[str, Any]]:
        """Return the schedules, the next due first."""
        return self._all("/v3/schedules", "training_id")

    def schedule(self, training_id: str) -> dict[str, Any]:
        return self._data("GET", _place(training_id, "schedules"), "training_id", "state")

    def change_schedule(self, training_id: str, state: str) -> dict[str, Any]:
        """Bring a schedule into a state: `paused`, `active`, or for good `ended`."""
        change = [{"op": "replace", "path": "/state", "value": state}]
        return self._data("PATCH", _place(training_id, "schedules"), "training_id", "state", json=change)

    def frameworks(self) -> list[dict[str, Any]]:
        return list(self._data("GET", "/v3/frameworks", "resources")["resources"])

    def quota(self) -> list[dict[str, Any]]:
        """Return the caller's accounts with what they own and use."""
        return list(self._data("GET", "/v3/quota", "resources")["resources"])

    def datasets(self) -> list[dict[str, Any]]:
        """Return the cached datasets that the caller may know of."""
        return list(self._data("GET", "/v3/datasets", "resources")["resources"])

    def events(self, wanted: Mapping[str, Any], limit: int | None) -> tuple[list[dict[str, Any]], bool]:
        """Return the newest wanted events of the audit log, the newest last, and whether there are older ones."""
        found: list[dict[str, Any]] = []
        params, more = dict(wanted), True
        while more and (limit is None or len(found) < limit):
            count = _PAGE if limit is None else min(_PAGE, limit - len(found))
            page = self._data(
                "GET", "/v3/audit", "resources", "until", params={**params, "limit": count, "offset": len(found)}
            )
            # What is recorded meanwhile must not shift the pages.
            params["until"], more = page["until"], bool(page["resources"]) and bool(page["more"])
            found += page["resources"]
        return found[::-1], more

    def doctor(self, wishes: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield what the service finds wrong or well with itself, as it comes."""
        seconds = float(wishes["wait_seconds"]) + ANSWER_SECONDS
        if wishes["every_image"]:
            seconds = _EVERY_IMAGE_SECONDS
        with self._streamed("/v3/doctor", seconds, "POST", json=wishes) as answer:
            for line in answer.iter_lines():
                data = data_of(self.url, answer.status_code, line.encode())
                if data.get("done"):
                    return
                yield Finding.from_dict(data)
        raise UnreachableError("the service broke off before it had looked at everything", "Try again.")

    def check(self) -> None:
        """Raise unless a Trainyard service answers here and lets the caller in."""
        self._data("GET", "/v3/models", "resources", params={"limit": 1, "offset": 0})

    @contextmanager
    def log(self, model_id: str, **wanted: Any) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Open the log as it comes: where in it the bytes begin, and the bytes.

        `follow` goes on until the run has ended, `offset` begins behind so many bytes, `last` with so many lines.
        """
        params = {key: value for key, value in wanted.items() if value not in (None, False, 0) or key == "last"}
        seconds = _SILENT_SECONDS if wanted.get("follow") else ANSWER_SECONDS
        given = {key: str(value).lower() for key, value in params.items() if value is not None}
        with self._streamed(f"{_place(model_id)}/logs", seconds, params=given) as answer:
            yield int(answer.headers.get("x-log-offset") or 0), answer.iter_bytes()

    @contextmanager
    def _streamed(self, place: str, seconds: float, method: str = "GET", **content: Any) -> Iterator[httpx.Response]:
        timeout = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        headers = {"Accept-Encoding": "identity", **content.pop("headers", {})}
        answer = self._send(method, place, stream=True, timeout=timeout, headers=headers, **content)
        try:
            with translated(self.url):
                if not answer.is_success:
                    raise error_of(self.url, answer.status_code, answer.read())
                yield answer
        finally:
            answer.close()

    def _count(self, wanted: Mapping[str, Any]) -> int:
        page = self._data("GET", "/v3/models", "resources", "total", params={**wanted, "limit": 1, "offset": 0})
        return int(page["total"])

    def _all(self, place: str, key: str, wanted: Mapping[str, Any] = _ALL, start: int = 0) -> list[dict[str, Any]]:
        """Return what every page from a start on has, once each; `key` tells one from another."""
        found: dict[str, dict[str, Any]] = {}
        # What comes and goes between two pages shifts the pages: look again until as many are known as there are.
        for _ in range(3):
            if self._collect(found, place, key, wanted, start) - start <= len(found):
                break
        return list(found.values())

    def _collect(
        self, found: dict[str, dict[str, Any]], place: str, key: str, wanted: Mapping[str, Any], offset: int
    ) -> int:
        """Add what every page from the offset on has to what was found; return how many there are."""
        while True:
            params = {**wanted, "limit": _PAGE, "offset": offset}
            page = self._data("GET", place, "resources", "total", params=params)
            rows, total = page["resources"], int(page["total"])
            found.update((row[key], row) for row in rows)
            offset += len(rows)
            if not rows or offset >= total:
                return total

    def _data(self, method: str, place: str, *keys: str, **content: Any) -> dict[str, Any]:
        answer = self._send(method, place, **content)
        return data_of(self.url, answer.status_code, answer.content, *keys)

    def _send(self, method: str, place: str, stream: bool = False, **content: Any) -> httpx.Response:
        """Send a request, signed in; a token that is no longer taken is renewed once where the password is known."""
        if self._token is None:
            self._renew()
        answer = self._patiently(method, place, stream, **content)
        if answer.status_code == 401 and self._renew():
            answer.close()
            answer = self._patiently(method, place, stream, **content)
        return answer

    def _renew(self) -> bool:
        if not self._access.can_sign_in:
            return False
        self.sign_in(str(self._access.username), str(self._access.password))
        return True

    def _patiently(self, method: str, place: str, stream: bool = False, **content: Any) -> httpx.Response:
        """Send a request, again after the pauses that a service with limits asks for, within bounds."""
        left = _PAUSE_SECONDS
        while True:
            answer = self._once(method, place, stream, **content)
            pause = pause_asked(answer)
            if not 0 < pause <= left:
                return answer
            left -= pause
            answer.close()
            remark(f"The service limits how much one user may ask for: going on in {pause} s ...")
            time.sleep(pause)

    def _once(
        self, method: str, place: str, stream: bool = False, headers: Mapping[str, str] = _ALL, **content: Any
    ) -> httpx.Response:
        token = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        with translated(self.url):
            request = self._http.build_request(method, self.url + place, headers={**headers, **token}, **content)
            return self._http.send(request, stream=stream)


def open_door(url: str | None) -> FrontDoor:
    """Open the service that the options, the environment and the kept files name."""
    access = find_access(url, os.environ, Path.cwd())
    warn(*warnings_of(access.url))
    return FrontDoor(access)


def _place(model_id: str, among: str = "models") -> str:
    if not model_id.strip("./ "):
        raise WrongUsageError(f"{model_id!r} is no model id", "`trainyard list` shows the model ids there are.")
    return f"/v3/{among}/{quote(model_id, safe='')}"
