"""Removing many things: what cannot go is noted and keeps nothing else from going."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Removals:
    """What a sweep did, or would do; `failed` says what stays and why. Those of a kind add what went."""

    dry_run: bool
    failed: list[dict[str, str]] = field(default_factory=list, kw_only=True)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def attempt(self, name: str, action: Callable[[], object]) -> bool:
        """Do one thing unless the sweep is dry; note one that fails, and return whether it went."""
        try:
            if not self.dry_run:
                action()
        except Exception as error:  # noqa: BLE001 - whatever keeps one thing must not keep all others
            self.failed.append({"name": name, "reason": str(error)})
            return False
        return True
