"""What a notification says, as a value: JSON for programs, plain text for people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trainyard.domain.notification import Event

_MAX_TEXT = 600
_MAX_METRICS = 12
_VERBS = {
    Event.STARTED: "has started",
    Event.ENDED: "has ended",
    Event.FAILED: "has failed",
    Event.WAITING: "is still waiting",
    Event.WARNING: "needs a look",
    Event.SKIPPED: "was not started by its schedule",
    Event.BUDGET: "has used most of its budget, or all of it",
    Event.TEST: "is a test",
}
_STATES = {"completed": "has completed", "error": "has failed", "canceled": "was canceled"}
# Chats make links, mentions and markup of these, whoever wrote them; a name is to be read, not followed.
_LINKS = re.compile(r"://")
_MENTIONS = re.compile(r"@(?=\w)")
_MARKUP = str.maketrans({"<": "‹", ">": "›", "[": "(", "]": ")", "`": "'", "*": "∗", "_": "＿", "~": "∼", "|": "¦"})


@dataclass(frozen=True)
class Message:
    """One event of one run. Times are seconds since the epoch; `metrics` has the last value of each.

    `page` is the address of the run's page, empty where nobody knows the service's own address.
    """

    event: str
    model_id: str = ""
    name: str = ""
    account: str = ""
    owner: str = ""
    state: str = ""
    code: str = ""
    reason: str = ""
    hint: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    duration_seconds: float | None = None
    at: float = 0.0
    page: str = ""

    @property
    def title(self) -> str:
        verb = _STATES.get(self.state, _VERBS[Event.ENDED]) if self.event == Event.ENDED else _VERBS[Event(self.event)]
        return f"{harmless(self.name, 120) or self.model_id or 'Trainyard'} {verb}"

    @property
    def text(self) -> str:
        """Return the whole of it in plain text; what strangers named shows as text and nothing else."""
        rows = [
            ("Run", self.model_id),
            ("State", self.state),
            ("Reason", f"{self.code + ': ' if self.code else ''}{harmless(self.reason)}"),
            ("Hint", harmless(self.hint)),
            ("Took", _duration(self.duration_seconds)),
            ("Metrics", _metrics(self.metrics)),
            ("Account", f"{harmless(self.account)}, {harmless(self.owner)}" if self.owner else ""),
            ("Page", self.page),
        ]
        return "\n".join(f"{name}: {value}" for name, value in rows if value)

    def as_dict(self) -> dict[str, Any]:
        """Return what webhooks are sent; `text` is there since chats show it."""
        return {**asdict(self), "metrics": dict(self.metrics), "text": f"{self.title}\n{self.text}"}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Message:
        """Read it back; keys this version does not know are dropped."""
        return cls(**{key: value for key, value in data.items() if key in cls.__dataclass_fields__})


def harmless(text: str, longest: int = _MAX_TEXT) -> str:
    """Return a text on one line without what terminals, mails and chats act upon."""
    shown = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 4 * longest])
    shown = _MENTIONS.sub("＠", _LINKS.sub(":⁄⁄", " ".join(shown.split()))).translate(_MARKUP)
    return shown if len(shown) <= longest else f"{shown[:longest]}…"


def last_values(metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the last value of each of an outcome's metrics."""
    return {name: row["last"] for name, row in metrics.items() if "last" in row}


def _metrics(metrics: Mapping[str, float]) -> str:
    shown = [f"{harmless(name, 60)} {value:.6g}" for name, value in list(metrics.items())[:_MAX_METRICS]]
    more = len(metrics) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more > 0 else [])])


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
