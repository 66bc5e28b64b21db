"""A small front door on loopback that speaks the REST interface, and ways to run the command line against it."""

from __future__ import annotations

import codecs
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

PATIENCE = 120.0
TERMINAL = {"completed", "error", "canceled"}


@dataclass
class Answer:
    status: int
    body: Any = None
    kind: str = "application/json"
    until: str = ""


def refusal(status: int, code: str, message: str, hint: str = "", problems: tuple[dict[str, Any], ...] = ()) -> Answer:
    error = {"code": code, "fault": "client", "message": message, "hint": hint, "problems": list(problems)}
    return Answer(status, {"error": error})


@dataclass
class World:
    """What the front door knows, and what it was asked."""

    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    deleted: dict[str, dict[str, Any]] = field(default_factory=dict)
    logs: dict[str, list[bytes | str | dict[str, Any]]] = field(default_factory=dict)
    results: dict[str, dict[str, bytes]] = field(default_factory=dict)
    live: dict[str, dict[str, int]] = field(default_factory=dict)
    """The sizes of a run's files, as they are listed while it goes on."""
    cut_results: list[int] = field(default_factory=list)
    """After how many bytes the next downloads break off."""
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What a run is to change into with each look at it."""
    tokens: set[str] = field(default_factory=lambda: {"good"})
    users: dict[str, str] = field(default_factory=lambda: {"ada": "engine"})
    forced: list[tuple[str, str, Answer]] = field(default_factory=list)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    """Every body, as it came."""
    submissions: list[dict[str, Any]] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    deletes_before_end: int = 0
    page_most: int = 1000
    hold: str = ""
    """Requests that are left waiting with their body unread."""
    lose: str = ""
    """Requests that are received and never answered."""

    def add(self, model_id: str, **changes: Any) -> dict[str, Any]:
        self.runs[model_id] = {
            "model_id": model_id,
            "training_id": model_id,
            "name": "tf-mnist",
            "url": f"/v3/models/{model_id}",
            "state": "pending",
            "phase": "queued",
            "account": "default",
            "framework": "tensorflow 1.2-py3",
            "gpus": 1,
            "submitted_at": "2017-10-26T11:16:51Z",
            "running_at": None,
            "finished_at": None,
            "outcome": None,
            **changes,
        }
        return self.runs[model_id]

    def schedule(self, training_id: str, **changes: Any) -> dict[str, Any]:
        self.schedules[training_id] = {
            "training_id": training_id,
            "url": f"/v3/schedules/{training_id}",
            "name": "tf-mnist",
            "account": "default",
            "schedule": "30 2 * * * Europe/Berlin",
            "every_seconds": None,
            "until": None,
            "overlap": "skip",
            "state": "active",
            "next_at": "2027-01-02T01:30:00Z",
            "waiting": False,
            "last_run": training_id,
            "note": "",
            **changes,
        }
        return self.schedules[training_id]

    def force(self, method: str, pattern: str, answer: Answer) -> None:
        """Answer the next request of this kind in another way."""
        self.forced.append((method, pattern, answer))

    def paths(self, method: str) -> list[str]:
        return [path for asked, path, _ in self.asked if asked == method]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world: World

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815 - http.server gives the names

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        world = self.world
        world.asked.append((self.command, self.path, self.headers.get("Authorization", "")))
        world.reached.set()
        if world.hold and re.search(world.hold, f"{self.command} {self.path}"):
            world.held.wait(PATIENCE)
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        world.received.append(body)
        if world.lose and re.search(world.lose, f"{self.command} {self.path}"):
            self.close_connection = True
            return
        for forced in list(world.forced):
            method, pattern, answer = forced
            if method == self.command and re.search(pattern, self.path):
                world.forced.remove(forced)
                self._answer(answer)
                return
        if parts.path == "/auth/token":
            self._answer(self._token(json.loads(body)))
        elif self.headers.get("Authorization", "").removeprefix("Bearer ") not in world.tokens:
            self._answer(refusal(401, "C105", "the token is not valid"))
        else:
            self._route(parts.path, {key: ",".join(values) for key, values in parse_qs(parts.query).items()}, body)

    def _route(self, path: str, query: dict[str, str], body: bytes) -> None:
        if path == "/v3/frameworks":
            found = {"name": "torch", "version": "lua52", "image": "torch:lua52", "interpreter": "th"}
            self._answer(Answer(200, {"resources": [found]}))
        elif path == "/v3/models" and self.command == "POST":
            self._answer(self._submit(body))
        elif path == "/v3/models":
            self._answer(self._page(query))
        elif path == "/v3/schedules":
            self._answer(self._schedules(query))
        elif path.startswith("/v3/schedules/"):
            self._answer(self._schedule(path.split("/")[3], body))
        elif path.endswith("/undelete") and (run := self.world.deleted.pop(path.split("/")[3], None)):
            self.world.runs[run["model_id"]] = run
            self._answer(Answer(200, run))
        elif query.get("deleted") and (run := self.world.deleted.get(path.split("/")[3])):
            self._answer(Answer(200, run))
        elif found := self.world.runs.get(path.split("/")[3]):
            self._one(path, found, query, body)
        else:
            self._answer(refusal(404, "C107", "there is no such run", "`trainyard list` shows the runs."))

    def _one(self, path: str, run: dict[str, Any], query: dict[str, str], body: bytes) -> None:
        if path.endswith("/logs"):
            self._log(self.world.logs.get(run["model_id"], []), query, run)
        elif path.endswith("/results"):
            files = self.world.results.get(run["model_id"], {})
            rows = [{"name": name, "size": len(data)} for name, data in files.items()]
            self._answer(Answer(200, {"resources": rows, "total": len(rows)}))
        elif "/results/" in path:
            self._result(self.world.results[run["model_id"]][unquote(path.partition("/results/")[2])])
        elif path.endswith("/files"):
            rows = [{"name": name, "size": size} for name, size in self.world.live[run["model_id"]].items()]
            self._answer(Answer(200, {"resources": rows, "others": 2, "whole": True}))
        elif "/files/" in path:
            name = unquote(path.partition("/files/")[2])
            found = self.world.results[run["model_id"]].get(name)
            gone = refusal(404, "C107", "there is no such file now", "")
            self._answer(gone) if found is None else self._result(found)
        elif path.endswith("/rerun"):
            self.world.bodies.append(json.loads(body))
            again = self.world.add(f"{run['model_id'][:-1]}Z", state="completed", phase="done", parent=run["model_id"])
            self._answer(Answer(202, {key: again[key] for key in ("model_id", "url", "account", "parent")}))
        elif self.command == "PATCH":
            self.world.bodies.append(json.loads(body))
            self._answer(self._cancel(run))
        elif self.command == "DELETE":
            self._answer(self._delete(run, query.get("now") == "true"))
        else:
            if looks := self.world.looks.get(run["model_id"]):
                run.update(looks.pop(0))
            self._answer(Answer(200, run))

    def _token(self, asked: dict[str, str]) -> Answer:
        if self.world.users.get(asked["username"]) != asked["password"]:
            return Answer(401, {"detail": "Invalid credentials"})
        self.world.tokens.add("fresh")
        return Answer(201, {"access_token": "fresh"})

    def _submit(self, body: bytes) -> Answer:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = BytesParser(policy=HTTP).parsebytes(head + body)
        named = [(part.get_param("name", header="content-disposition"), part) for part in parts.iter_parts()]
        fields = {name: part.get_payload(decode=True) for name, part in named}
        fields["manifests"] = [part.get_filename() for name, part in named if name == "manifest"]
        fields["sets"] = [part.get_payload(decode=True).decode() for name, part in named if name == "set"]
        self.world.submissions.append(fields)
        model_id = f"training-{len(self.world.submissions):09d}"
        run = self.world.add(model_id, state="completed", phase="done")
        account = (fields.get("account") or b"default").decode()
        warnings = ["the version should be quoted"] if b"unquoted" in fields["manifest"] else []
        answer = {"model_id": model_id, "url": run["url"], "account": account, "warnings": warnings}
        if len(fields["manifests"]) > 1 or any("," in one for one in fields["sets"]):
            answer["model_ids"] = [model_id, f"{model_id[:-1]}b"]
        return Answer(202, answer)

    def _page(self, query: dict[str, str]) -> Answer:
        limit, offset = int(query["limit"]), int(query["offset"])
        states = query.get("state", "").split(",")
        there = self.world.deleted if query.get("deleted") else self.world.runs
        runs = [run for run in there.values() if states == [""] or run["state"] in states]
        if text := query.get("match"):
            runs = [run for run in runs if run["name"] == text or run["model_id"].endswith(text)]
        wanted = query.get("experiment")
        runs = [run for run in runs if wanted in (None, run.get("experiment", wanted))]
        page = runs[offset : offset + min(limit, self.world.page_most)]
        return Answer(200, {"resources": page, "total": len(runs), "limit": limit, "offset": offset})

    def _schedules(self, query: dict[str, str]) -> Answer:
        limit, offset = int(query["limit"]), int(query["offset"])
        rows = list(self.world.schedules.values())
        page = rows[offset : offset + min(limit, self.world.page_most)]
        return Answer(200, {"resources": page, "total": len(rows), "limit": limit, "offset": offset})

    def _schedule(self, training_id: str, body: bytes) -> Answer:
        found = self.world.schedules.get(training_id)
        if found is None:
            hint = "`trainyard schedules` shows those there are; a schedule goes by the id of its first run."
            return refusal(404, "C107", f"there is no schedule of {training_id}", hint)
        if self.command == "PATCH":
            self.world.bodies.append(json.loads(body))
            if found["state"] == "ended":
                return refusal(409, "C111", f"the schedule of {training_id} has ended", "Submit the training again.")
            found["state"] = self.world.bodies[-1][0]["value"]
            found["next_at"] = found["next_at"] if found["state"] == "active" else None
        return Answer(200, found)

    def _cancel(self, run: dict[str, Any]) -> Answer:
        if run["state"] in TERMINAL:
            return refusal(409, "C108", "it has ended already")
        run["phase"] = "storing"
        return Answer(202, run)

    def _delete(self, run: dict[str, Any], now: bool) -> Answer:
        if run["phase"] == "storing":
            self.world.deletes_before_end -= 1
            if self.world.deletes_before_end < 0:
                run["state"] = "canceled"
        if run["state"] not in TERMINAL:
            return refusal(409, "C108", "it is still going", "Cancel it first, then delete it.")
        self.world.deleted[run["model_id"]] = self.world.runs.pop(run["model_id"])
        return Answer(204, until="" if now else "2017-10-27T11:16:51Z")

    def _result(self, data: bytes) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        data = data[int(wanted[1]) :] if wanted else data
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.world.cut_results:
            data = data[: self.world.cut_results.pop(0)]
            self.close_connection = True
        self.wfile.write(data)

    def _log(self, script: list[Any], query: dict[str, str], run: dict[str, Any]) -> None:
        """Send the log piece by piece; `cut` breaks the connection, once, other words are a new state.

        A mapping changes the run once what it was before has been seen and reported beside the log.
        """
        follow, skip = query.get("follow") == "true", int(query.get("offset", 0))
        if "last" in query:
            whole = b"".join(piece for piece in script if isinstance(piece, bytes))
            skip = len(whole) - len(b"".join(whole.splitlines(keepends=True)[-int(query["last"]) :]))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("X-Log-Offset", str(skip))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in list(script):
            if isinstance(piece, bytes):
                fresh, skip = piece[skip:], max(skip - len(piece), 0)
                if fresh:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(fresh), fresh))
            elif piece == "cut" and follow:
                script.remove(piece)
                self.close_connection = True
                return
            elif isinstance(piece, dict):
                self._until_reported(run)
                run.update(piece)
            elif piece in TERMINAL:
                run["state"] = piece
        self.wfile.write(b"0\r\n\r\n")

    def _until_reported(self, run: dict[str, Any]) -> None:
        """Wait for two more requests of the run: with the second one, the answer of the first has been reported."""
        before, end = self._seen(run), time.monotonic() + PATIENCE
        while self._seen(run) < before + 2 and time.monotonic() < end:
            time.sleep(0.01)

    def _seen(self, run: dict[str, Any]) -> int:
        return self.world.paths("GET").count(run["url"])

    def _answer(self, answer: Answer) -> None:
        body = b"" if answer.body is None else answer.body
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        if answer.until:
            self.send_header("X-Deleted-Until", answer.until)
        self.end_headers()
        self.wfile.write(data)


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A command that has what it wanted hangs up while it is still being answered: not a word about that on stderr,
        # which by then may be the next test's.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@pytest.fixture
def front_door() -> Iterator[World]:
    world = World()
    server = _Server(("127.0.0.1", 0), type("Handler", (Handler,), {"world": world}))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    world.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield world
    world.held.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no setting of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("TRAINYARD_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Done]:
    """Run the command line in this process, signed in nowhere."""
    from trainyard.cli.main import main

    def running(*words: str, stdin: bytes = b"") -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(words)
        out, err = capsysbinary.readouterr()
        return Done(code, out.decode(), err.decode())

    return running


@pytest.fixture
def cli(front_door: World, run: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run the command line, signed in to the front door."""
    monkeypatch.setenv("TRAINYARD_URL", front_door.url)
    monkeypatch.setenv("TRAINYARD_TOKEN", "good")
    return run


@pytest.fixture
def submission(home: Path) -> tuple[str, str]:
    """A zip and a manifest in the working directory."""
    with zipfile.ZipFile(home / "tf-model.zip", "w") as packed:
        packed.writestr("convolutional_network.py", "print('hello')\n")
    (home / "job.yaml").write_text("model_definition:\n  name: tf-mnist\n")
    return "tf-model.zip", "job.yaml"


class Terminal:
    """The command line in a process of its own, with a terminal as stdin, stdout and stderr."""

    def __init__(self, *words: str, stdout: int | None = None) -> None:
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "trainyard.cli.main", *words]
        # A session of its own, so that the keys pressed here are signals there.
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=stdout or theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def wait_for(self, text: str) -> None:
        end = time.monotonic() + PATIENCE
        while text not in self.text:
            assert time.monotonic() < end, f"{text!r} did not come, only {self.text!r}"
            if not self._read():
                break
        assert text in self.text, self.text

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Read all that still comes and return the exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        os.close(self._ours)

    def _read(self) -> bool:
        if not select.select([self._ours], [], [], PATIENCE)[0]:
            return False
        try:
            chunk = os.read(self._ours, 65536)
        except OSError:
            return False
        self.text += self._decoder.decode(chunk)
        return bool(chunk)


@pytest.fixture
def terminal(front_door: World, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Terminal]]:
    """Start the command line on a terminal, signed in to the front door."""
    monkeypatch.setenv("TRAINYARD_URL", front_door.url)
    monkeypatch.setenv("TRAINYARD_TOKEN", "good")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    started: list[Terminal] = []

    def start(*words: str, **options: Any) -> Terminal:
        started.append(Terminal(*words, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()
