"""`trainyard quota`, and GPU seconds in `show`."""

from __future__ import annotations

pytest_plugins = ["cli_front_door"]

_VISION = {
    "account": "vision",
    "gpus": 4,
    "used": 3,
    "waiting_runs": 2,
    "waiting_gpus": 5,
    "gpu_hours": 12.5,
}
_OUTCOME = {"code": None, "message": "", "hint": "", "exit_code": 0, "gpu_seconds": 40.5, "fault": None}


def _answer_with(front_door, *accounts):
    from cli_front_door import Answer

    front_door.force("GET", "/v3/quota", Answer(200, {"resources": accounts, "days": 7}))


def test_quota_lists_the_accounts(cli, front_door):
    _answer_with(front_door, _VISION)
    assert cli("quota").out.splitlines() == [
        "Fetching the quotas ...",
        "Account   GPUs   used   waited for   by runs   GPU hours of 7 days",
        "vision    4      3      5            2         12.5",
        "",
        "1 records found.",
        "OK",
        "Show quota successful",
    ]


def test_quota_as_json_is_what_the_service_answers(cli, front_door):
    _answer_with(front_door, _VISION)
    assert cli("quota", "-o", "json").data == {"resources": [_VISION], "total": 1}


def test_show_says_what_an_ended_run_took_of_the_gpus(cli, front_door):
    front_door.add("training-DOl4q2LkR", state="completed", phase="done", outcome=_OUTCOME)
    lines = cli("show", "training-DOl4q2LkR").out.splitlines()
    assert lines[lines.index("OK") - 1] == "GPU_seconds    40.5"


def test_show_says_nothing_of_gpus_where_none_was_used(cli, front_door):
    front_door.add("training-DOl4q2LkR", state="completed", phase="done", outcome={**_OUTCOME, "gpu_seconds": 0.0})
    assert "GPU_seconds" not in cli("show", "training-DOl4q2LkR").out
