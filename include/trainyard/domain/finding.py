"""What one look at an installation found: whether it is well, what was seen, and the cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

OK, WARN, WRONG = "ok", "warn", "wrong"


@dataclass(frozen=True)
class Finding:
    """One line of `trainyard doctor`. Message and cure are plain sentences, and never hold a secret.

    What works and still deserves a decision is a `warning`: it is ok, and changes no exit code.
    """

    check: str
    ok: bool
    message: str
    cure: str = ""
    warning: bool = False

    @property
    def state(self) -> str:
        if not self.ok:
            return WRONG
        return WARN if self.warning else OK

    def as_dict(self) -> dict[str, Any]:
        fields = asdict(self)
        fields.pop("warning")
        return {**fields, "state": self.state}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """Read what another process found, whatever else its version tells."""
        texts = {key: str(data.get(key) or "") for key in ("check", "message", "cure")}
        return cls(ok=data.get("ok") is True, warning=data.get("state") == WARN, **texts)


def fine(check: str, message: str) -> Finding:
    return Finding(check, True, message)


def wrong(check: str, message: str, cure: str) -> Finding:
    return Finding(check, False, message, cure)


def warned(check: str, message: str, cure: str) -> Finding:
    return Finding(check, True, message, cure, warning=True)


def line_of(finding: Finding) -> str:
    """Return the finding in columns; the cure stands below what it cures."""
    line = f"{finding.check:<14} {finding.state:<6} {finding.message}"
    return f"{line}\n{'':<14} {'':<6} -> {finding.cure}" if finding.cure else line
