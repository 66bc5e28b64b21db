"""What one look at an installation found: whether it is well, what was seen, and the hint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trainyard.errors import hint_of, with_former_name

OK, WARN, WRONG = "ok", "warn", "wrong"


@dataclass(frozen=True)
class Finding:
    """One line of `trainyard doctor`. Message and hint are plain sentences, and never hold a secret.

    What works and still deserves a decision is a `warning`: it is ok, and changes no exit code.
    """

    check: str
    ok: bool
    message: str
    hint: str = ""
    warning: bool = False

    @property
    def state(self) -> str:
        if not self.ok:
            return WRONG
        return WARN if self.warning else OK

    def as_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        fields.pop("warning")
        return with_former_name({**fields, "state": self.state})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """Read what another process found, whatever else its version says."""
        check, message, hint = (str(text or "") for text in (data.get("check"), data.get("message"), hint_of(data)))
        return cls(check, data.get("ok") is True, message, hint, warning=data.get("state") == WARN)


def fine(check: str, message: str) -> Finding:
    return Finding(check, True, message)


def wrong(check: str, message: str, hint: str) -> Finding:
    return Finding(check, False, message, hint)


def warned(check: str, message: str, hint: str) -> Finding:
    return Finding(check, True, message, hint, warning=True)


def line_of(finding: Finding) -> str:
    """Return the finding in columns; the hint stands below it."""
    line = f"{finding.check:<14} {finding.state:<6} {finding.message}"
    return f"{line}\n{'':<14} {'':<6} -> {finding.hint}" if finding.hint else line
