"""What docs/cli.md shows of a command is what the command prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

pytest_plugins = ["cli_front_door"]

_DOC = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
_BLOCK = re.compile(r"^```\n\$ trainyard (.*)\n((?s:.*?))^```$", re.MULTILINE)
_EXAMPLES = dict(_BLOCK.findall(_DOC.read_text("utf-8")))
ID, LATER, OTHER = "training-DOl4q2LkR", "training-7GmPz0wQe", "training-b3XvK91Lo"
_NEW_DATA = {"schedule": "new data", "every_seconds": 3600, "overlap": None}
_DATASETS = [
    ("98c5bda557e137ab", 2000, 3, 41, "2027-01-02T01:30:00Z"),
    ("4edea7f09af92c11", 1999, 0, 7, "2026-12-28T09:12:44Z"),
]


def _answers(front_door, verb, place, status, body):
    from cli_front_door import Answer

    front_door.force(verb, place, Answer(status, body))


def _accepted(front_door, *ids):
    answer = {"model_id": ids[0], "url": f"/v3/models/{ids[0]}", "account": "default", "warnings": []}
    whole = answer if len(ids) == 1 else {**answer, "model_ids": list(ids)}
    _answers(front_door, "POST", "/v3/models", 202, whole)


def _schedules(front_door):
    front_door.schedule(ID, last_run=LATER)
    note = "the data is as it was when it was trained last"
    front_door.schedule(OTHER, **_NEW_DATA, name="digits", next_at="2027-01-02T02:00:00Z", note=note)


def _quota(front_door):
    keys = ("account", "gpus", "used", "waiting_gpus", "waiting_runs", "gpu_hours")
    rows = [("vision", 8, 6, 4, 2, 211.5), ("free", 1, 0, 0, 0, 0.0)]
    found = [dict(zip(keys, row, strict=True)) for row in rows]
    _answers(front_door, "GET", "/v3/quota", 200, {"resources": found, "days": 7})


def _datasets(front_door):
    name, size = "bucket digits at https://objects.example.com", 3 * 2**29
    keys = ("version", "files", "users", "hits", "last_used")
    found = [{"name": name, "size": size, **dict(zip(keys, row, strict=True))} for row in _DATASETS]
    _answers(front_door, "GET", "/v3/datasets", 200, {"resources": found, "total": 2})


def _addresses(front_door):
    rows = [
        ("me", "mailto:****", "", [], True),
        ("phone", "https://hooks.example.com/****", "", ["failed", "waiting"], False),
        ("team", "slack://****", "vision", [], False),
    ]
    keys = ("name", "address", "account", "on", "every_run")
    failing = {"id": "5", "event": "ended", "model_id": ID, "to": "phone (https://hooks.example.com/****)"}
    state = {"tries": 3, "failure": "it answers 503", "next_at": "2027-01-02T02:00:00Z", "dead": False}
    found = [dict(zip(keys, row, strict=True)) for row in rows]
    _answers(front_door, "GET", "/v3/notify", 200, {"addresses": found, "undelivered": [{**failing, **state}]})


def _audit(front_door):
    event = {"time": "2026-11-30T07:22:39.187Z", "actor": "eve", "remote": "10.1.2.3", "action": "delete", "run": ID}
    reported = {**event, "account": "", "training": "", "result": "refused", "code": "C107", "details": {}}
    page = {"resources": [reported], "limit": 100, "offset": 0, "until": event["time"], "more": False}
    _answers(front_door, "GET", "/v3/audit", 200, page)


def _secrets(front_door):
    keys = ("name", "account", "changed_at", "changed_by")
    rows = [
        ("WANDB_API_KEY", None, "2027-01-02T01:30:00Z", "ada"),
        ("HF_TOKEN", "vision", "2026-12-28T09:12:44Z", "grace"),
    ]
    found = [dict(zip(keys, row, strict=True)) for row in rows]
    _answers(front_door, "GET", "/v3/secrets", 200, {"resources": found, "total": 2})


def _results(front_door):
    front_door.add(ID, state="completed", phase="done")
    front_door.results[ID] = {f"model/{number}": b"x" for number in range(8)} | {"model/weights": b"x" * 48203}


EXPERIMENT, RUN = "9e038155-eadd-42f4-9657-45c0c5676486", "c1f6b0f2-6a0e-4c5f-9d0b-7a1c2e3d4f55"


def _stored_experiments(front_door):
    row = {"id": EXPERIMENT, "name": "digits", "created_at": "2018-03-21T09:30:00Z"}
    _answers(front_door, "GET", "/v3/experiments", 200, {"resources": [row], "total": 1})


def _experiment_stored(front_door):
    Path("experiment.yml").write_text("settings: {}\n", "utf-8")
    _answers(front_door, "POST", "/v3/experiments", 201, {"id": EXPERIMENT})


def _experiment_run(front_door):
    _answers(front_door, "POST", f"/v3/experiments/{EXPERIMENT}/runs", 202, {"id": RUN, "state": "pending"})


def _search(front_door):
    points = ((7, LATER, 0.9731, 0.00312), (3, OTHER, 0.9688, 0.00871))
    trials = [
        {
            "number": number,
            "model_id": model_id,
            "state": "completed",
            "value": value,
            "point": {"lr": lr, "opt": "adam"},
        }
        for number, model_id, value, lr in points
    ]
    rest = [{"number": 20 + number, "model_id": ID, "state": "running"} for number in range(10)]
    found = {
        **{"training_id": ID, "experiment": "tuning", "state": "running", "metric": "val/acc", "goal": "maximize"},
        **{"total": 40, "counts": {"completed": 8, "running": 4}, "best": trials[0], "trials": [*trials, *rest]},
        **{"importances": {"lr": 0.81, "opt": 0.19}, "gpu_hours": 3.2, "seconds_left": 2100.0},
    }
    _answers(front_door, "GET", "/v3/searches/tuning", 200, found)


# What the service has when the command of an example is run.
_DIFF = {
    "first": ID,
    "second": "training-Yh2TnR5cd",
    "same": False,
    "hyperparameters": [{"name": "lr", "first": 0.1, "second": 0.02}],
    "metrics": [{"name": "loss", "first": 0.31, "second": 0.22}],
    "files": [
        {
            "name": "train.py",
            "what": "changed",
            "lines": ["@@ -1,2 +1,2 @@", " import torch", "-torch.manual_seed(1)", "+torch.manual_seed(2)"],
        }
    ],
}
_SCENES = {
    "train tf-model.zip job.yaml": lambda door: _accepted(door, ID),
    "train tf-model.zip job.yaml --experiment learning-rates --set lr=0.1,0.01 --set batch=32,64": lambda door: (
        _accepted(door, ID, LATER, OTHER, "training-Yh2TnR5cd")
    ),
    "list experiments": _stored_experiments,
    "store experiments experiment.yml": _experiment_stored,
    f"experiments run {EXPERIMENT}": _experiment_run,
    f"rerun {ID} --set lr=0.02 --size medium": lambda door: (
        door.add(ID),
        _answers(door, "POST", "/rerun", 202, {"model_id": "training-Yh2TnR5cd", "parent": ID}),
    ),
    f"diff {ID} training-Yh2TnR5cd": lambda door: (
        door.add(ID),
        door.add("training-Yh2TnR5cd"),
        _answers(door, "GET", "/diff/", 200, _DIFF),
    ),
    "list trained-models": lambda door: door.add(ID),
    f"show {ID}": lambda door: door.add(
        ID, state="running", phase="training", submitted_at="2017-10-26T11:10:37Z", waiting=None, schedule=None
    ),
    f"download {ID}": _results,
    f"cancel {ID}": lambda door: door.add(ID, state="running", phase="training"),
    f"delete {ID}": lambda door: _answers(door, "DELETE", ID, 204, None),
    "experiments show tuning": _search,
    "schedules": _schedules,
    f"pause {ID}": _schedules,
    f"resume {ID}": _schedules,
    f"unschedule {ID} --yes": _schedules,
    "quota": _quota,
    "notify list": _addresses,
    "datasets": _datasets,
    "audit --since 1d --result refused": _audit,
    "secret list": _secrets,
}
# Two ask for what nobody may see, another reads real files.
_SHOWN_ELSEWHERE = {
    "data put ./digits data-vision/digits",
    "login --url https://train.example.org --username ada",
    "secret set WANDB_API_KEY",
    "store add team-data --endpoint https://objects.example.com",
    "validate job.yaml tf-model.zip",
}


def test_every_example_is_run_here():
    assert set(_EXAMPLES) == {*_SCENES, *_SHOWN_ELSEWHERE}


@pytest.mark.parametrize("words", _SCENES)
def test_an_example_is_what_the_command_prints(cli, front_door, submission, words):
    _SCENES[words](front_door)
    done = cli(*shlex.split(words))
    assert (done.code, done.err) == (0, "")
    assert done.out.replace(front_door.url, "https://train.example.org") == _EXAMPLES[words]


_ROWS = {
    "State          pending": {"phase": "waiting-for-gpu", "waiting": "waiting for 2 GPUs"},
    "Phase          staging: bringing the training data": {
        "phase": "staging",
        "waiting": "bringing the training data",
        "transfer": {
            "doing": "downloading",
            "files": 12,
            "files_total": 2000,
            "bytes": 3 << 20,
            "bytes_total": 40 << 20,
            "listed": True,
            "rate": 2.0 * 2**20,
            "seconds_left": 12.0,
        },
    },
    "Overrides      size=medium, lr=0.01": {"overrides": {"size": "medium", "lr": 0.01}},
    "Schedule       30 2 * * * Europe/Berlin": {
        "model_id": LATER,
        "submitted_at": "2027-01-02T01:30:04Z",
        "schedule": {
            "training_id": ID,
            "schedule": "30 2 * * * Europe/Berlin",
            "every_seconds": None,
            "state": "active",
            "next_at": "2027-01-03T01:30:00Z",
        },
    },
}


def _rows_with(text):
    """Return the block of rows of `show` that has the text."""
    blocks = re.findall(r"^```\n([A-Z](?s:.*?))```$", _DOC.read_text("utf-8"), re.MULTILINE)
    (found,) = [block for block in blocks if text in block]
    return found


@pytest.mark.parametrize("first", _ROWS)
def test_the_further_rows_of_show_are_those_that_it_prints(cli, front_door, first):
    front_door.add(ID).update({"submitted_at": "2017-10-26T11:10:37Z", "phase": "", **_ROWS[first]})
    shown = cli("show", ID).out
    assert _rows_with(first) in shown


def test_the_reason_of_the_example_is_one_that_the_service_gives(cli, front_door):
    from pod_statuses import over, pod

    from trainyard.cluster.diagnosis import diagnose

    ended = pod("Failed", over(3, message="no such file: labels.csv"))
    ended["metadata"].setdefault("labels", {})["trainyard/model-id"] = ID
    outcome = {
        **diagnose(ended, 1, 4 * 1024**3).as_dict(),
        "gpu_seconds": 84.0,
        "started_at": None,
        "finished_at": None,
    }
    front_door.add(ID, state="error", phase="done", submitted_at="2017-10-26T11:10:37Z", outcome=outcome)
    assert _rows_with("Reason ") in cli("show", ID).out
