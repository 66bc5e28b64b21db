"""What one look at an installation found: whether it is well, what was seen, and the cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

OK, WRONG = "ok", "wrong"


@dataclass(frozen=True)
class Finding:
    """One line of `trainyard doctor`. Message and cure are plain sentences, and never hold a secret."""

    check: str
    ok: bool
    message: str
    cure: str = ""

    @property
    def state(self) -> str:
        return OK if self.ok else WRONG

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "state": self.state}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """Read what another process found, whatever else its version tells."""
        texts = {key: str(data.get(key) or "") for key in ("check", "message", "cure")}
        return cls(ok=data.get("ok") is True, **texts)


def fine(check: str, message: str) -> Finding:
    return Finding(check, True, message)


def wrong(check: str, message: str, cure: str) -> Finding:
    return Finding(check, False, message, cure)


def line_of(finding: Finding) -> str:
    """Return the finding in columns; the cure stands below what it cures."""
    line = f"{finding.check:<14} {finding.state:<6} {finding.message}"
    return f"{line}\n{'':<14} {'':<6} -> {finding.cure}" if finding.cure else line
