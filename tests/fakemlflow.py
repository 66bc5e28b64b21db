"""An MLflow server in memory, on the loopback interface, which can be made to do harm."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

# What it is asked for -> what it does in the place of answering; it returns whether it has.
Harm = Callable[["Handler", str], bool]


class FakeMLflow:
    """Serves until it is left. `harm` may answer before it; `asked` is what it was asked for, with the login."""

    def __init__(self, harm: Harm | None = None) -> None:
        self.harm = harm
        self.asked: list[str] = []
        self.logins: set[str] = set()
        self.over = Event()
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"mlflow": self}))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> FakeMLflow:
        Thread(target=self._server.serve_forever, daemon=True, kwargs={"poll_interval": 0.02}).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return {
            "experiments/get-by-name": self._experiment,
            "experiments/create": self._new_experiment,
            "runs/search": self._search,
            "runs/create": self._new_run,
            "runs/log-batch": self._log,
            "runs/update": self._update,
        }[path](given)

    def _experiment(self, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        found = self.experiments.get(given["experiment_name"])
        if found is None:
            return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}
        return 200, {"experiment": {"experiment_id": found}}

    def _new_experiment(self, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if given["name"] in self.experiments:
            return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": "no"}
        self.experiments[given["name"]] = str(len(self.experiments) + 1)
        return 200, {"experiment_id": self.experiments[given["name"]]}

    def _search(self, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        wanted = dict(re.findall(r"tags\.`([^`]+)` = '([^']+)'", given["filter"]))
        assert wanted
        fits = (
            run
            for run in self.runs.values()
            if run["experiment_id"] in given["experiment_ids"] and wanted.items() <= run["tags"].items()
        )
        found = [{"info": {"run_id": run["run_id"]}} for run in fits]
        return 200, {"runs": found} if found else {}

    def _new_run(self, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        run = {"run_id": f"{len(self.runs):032x}", "params": {}, "metrics": [], "batches": [], **given}
        run["tags"] = {each["key"]: each["value"] for each in given["tags"]}
        self.runs[run["run_id"]] = run
        return 200, {"run": {"info": {"run_id": run["run_id"]}}}

    def _log(self, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        run = self.runs[given["run_id"]]
        for kind, most in (("params", 100), ("tags", 100), ("metrics", 1000)):
            if len(given.get(kind, ())) > most:
                return 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "too many"}
        run["batches"].append({kind: len(rows) for kind, rows in given.items() if kind != "run_id"})
        for kind in ("params", "tags"):
            run[kind].update({each["key"]: each["value"] for each in given.get(kind, ())})
        run["metrics"] += [each for each in given.get("metrics", ()) if each not in run["metrics"]]
        return 200, {}

    def _update(self, given: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.runs[given["run_id"]].update(given)
        return 200, {"run_info": {}}


class Handler(BaseHTTPRequestHandler):
    """One request; the body it has read is in `body`."""

    mlflow: FakeMLflow
    body = b""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = urlsplit(self.path)
        path = parts.path.partition("/api/2.0/mlflow/")[2]
        self.mlflow.asked.append(path)
        self.mlflow.logins.add(self.headers.get("authorization", ""))
        with suppress(OSError):
            if self.mlflow.harm and self.mlflow.harm(self, path):
                return
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self.reply(*self.mlflow.answer(path, {**query, **json.loads(self.body or b"{}")}))

    def reply(self, status: int, data: Any, **headers: str) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
