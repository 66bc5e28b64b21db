"""A command in the container of a learner: how it is started there, and the channels of Kubernetes' exec."""

from __future__ import annotations

import json
from collections.abc import Sequence

# The newer one can say that the input has ended.
PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, RESULT, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
END_OF_INPUT = bytes([CLOSE, STDIN])

# Where the program is, with the Python and the packages that it has; the wrapper leaves its PATH there.
_STARTER = """
cd "$MODEL_DIR" 2>/dev/null
found=$(cat "$HOME/.path" 2>/dev/null)
[ -z "$found" ] || export PATH="$found"
[ ! -d "$HOME/.environment" ] || export VIRTUAL_ENV="$HOME/.environment"
export PYTHONPATH="$MODEL_DIR${PYTHONPATH:+:$PYTHONPATH}"
unset found
exec "$@"
"""


def started(command: Sequence[str]) -> list[str]:
    """Return what runs a command as the program of the run would: in its folder, with its PATH and its packages."""
    return ["sh", "-c", _STARTER, "sh", *command]


def exit_code(result: bytes) -> int | None:
    """Return the exit code that the cluster reports at a command's end; None where it could not run it."""
    try:
        status = json.loads(result)
        if status.get("status") == "Success":
            return 0
        return int(status["details"]["causes"][0]["message"])
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def reason(result: bytes) -> str:
    """Return the cluster's own sentence where a command could not be run."""
    try:
        return str(json.loads(result).get("message") or "it said nothing")
    except (ValueError, AttributeError):
        return "it said nothing that can be read"
