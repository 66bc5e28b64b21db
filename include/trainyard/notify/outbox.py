"""The outbox: what is to be delivered to whom, a file each, written whole by whatever knows of an event.

A delivery waits in the folder itself until it has arrived; then its name lies in `done`, so that a step that is run
again notifies nobody twice. One that failed too often lies in `dead`. No file holds an address: a delivery names one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from trainyard.domain.message import Message
from trainyard.workspace.locks import locked_if_free

# 10 s, 30 s, 90 s … an hour, for a day.
_FIRST_PAUSE, _FACTOR, _MAX_PAUSE = 10.0, 3.0, 3600.0
MAX_AGE_SECONDS = 86400.0
MAX_DEAD = 1000
# Of one account: its receivers may be away while it has more runs than anybody wants to hear of.
MAX_WAITING = 5000
_ACCOUNT_DIGITS = 8
log = logging.getLogger(__name__)
_DONE_SECONDS, _DEAD_SECONDS = 2 * 86400.0, 7 * 86400.0
_MAX_REASON = 300


@dataclass(frozen=True)
class Delivery:
    """One message to one address. `to` says where the address is kept, `shown` is how people see it.

    Times are seconds since the epoch. `began_at` is when the first try was, of those since the last revival.
    """

    id: str
    account: str
    to: str
    shown: str
    message: Message
    made_at: float
    tries: int = 0
    next_at: float = 0.0
    began_at: float | None = None
    failure: str = ""
    owner: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "message": asdict(self.message)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Delivery:
        """Read it back; keys this version does not know are dropped."""
        known = {key: value for key, value in data.items() if key in cls.__dataclass_fields__}
        return cls(**{**known, "message": Message.from_dict(data["message"])})

    def failed(self, reason: str, now: float) -> Delivery:
        """Return it after a try that failed, due again later and later."""
        pause = min(_FIRST_PAUSE * _FACTOR ** min(self.tries, 10), _MAX_PAUSE)
        began = now if self.began_at is None else self.began_at
        failure = reason[:_MAX_REASON]
        return replace(self, tries=self.tries + 1, next_at=now + pause, began_at=began, failure=failure)

    def again(self, now: float) -> Delivery:
        return replace(self, tries=0, next_at=now, began_at=None)

    def is_newer_than(self, moment: float) -> bool:
        """Say whether it was made, or revived, after a moment and has not been tried since."""
        return self.tries == 0 and max(self.made_at, self.next_at) > moment

    def is_hopeless(self, now: float) -> bool:
        """Say whether it has been tried for as long as anything is."""
        return self.began_at is not None and now - self.began_at >= MAX_AGE_SECONDS


def delivery_id(account: str, event: str, run: str, moment: str, to: str) -> str:
    """Return the same id for the same event, however often it is reported; `moment` distinguishes a run's ends.

    Those of one account begin alike.
    """
    return _digest(account)[:_ACCOUNT_DIGITS] + _digest("\0".join((event, run, moment, to)))[:24]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Outbox:
    """The deliveries in one folder, which only the service reaches."""

    folder: Path
    # Path -> inode and change of a file, and what it held: a receiver that is away for a day leaves thousands.
    _known: dict[str, tuple[tuple[int, int], Delivery]] = field(default_factory=dict, repr=False, compare=False)

    def put(self, delivery: Delivery) -> bool:
        """Write a delivery unless it is there, or has arrived; say whether it was written."""
        if any((place / f"{delivery.id}.json").exists() for place in (self.folder, self._done, self._dead)):
            return False
        if self._count(delivery.id[:_ACCOUNT_DIGITS]) >= MAX_WAITING:
            log.warning("%s is not notified: %s deliveries of the account wait.", delivery.shown, MAX_WAITING)
            return False
        self._write(self.folder, delivery)
        return True

    def waiting(self) -> list[Delivery]:
        """Return what has not arrived, the oldest first."""
        found = dict[str, tuple[tuple[int, int], Delivery]]()
        for path, stat in _files(self.folder):
            mark, known = (stat.st_ino, stat.st_mtime_ns), self._known.get(path.name)
            delivery = known[1] if known and known[0] == mark else _read(path)
            if delivery:
                found[path.name] = (mark, delivery)
        self._known.clear()
        self._known.update(found)
        return sorted((delivery for _, delivery in found.values()), key=_by_age)

    def dead(self) -> list[Delivery]:
        """Return what is given up, the oldest first."""
        return sorted(filter(None, (_read(path) for path, _ in _files(self._dead))), key=_by_age)

    def find(self, delivery_id: str) -> Delivery | None:
        """Return one that has not arrived, given up or not."""
        return _read(self.folder / f"{delivery_id}.json") or _read(self._dead / f"{delivery_id}.json")

    def has_arrived(self, delivery_id: str) -> bool:
        return (self._done / f"{delivery_id}.json").exists()

    def arrived(self, delivery: Delivery) -> None:
        """Note that a delivery has arrived: the note first, since twice is better than never."""
        self._done.mkdir(parents=True, exist_ok=True)
        (self._done / f"{delivery.id}.json").touch()
        self._path(delivery).unlink(missing_ok=True)

    def retry_later(self, delivery: Delivery, reason: str, now: float, *, for_good: bool = False) -> bool:
        """Note a failure; give the delivery up after a day of tries, or where no other helps; say whether it is."""
        failed = delivery.failed(reason, now)
        dead = for_good or failed.is_hopeless(now)
        self._write(self._dead if dead else self.folder, failed)
        if dead:
            self._path(delivery).unlink(missing_ok=True)
        return dead

    def revive(self, delivery: Delivery, now: float) -> None:
        """Let one that was given up be tried again at once."""
        self._write(self.folder, delivery.again(now))
        (self._dead / f"{delivery.id}.json").unlink(missing_ok=True)

    def prune(self, now: float) -> None:
        """Forget what has arrived long ago, and of what was given up the oldest."""
        for place, seconds, most in ((self._done, _DONE_SECONDS, None), (self._dead, _DEAD_SECONDS, MAX_DEAD)):
            ages = sorted((stat.st_mtime, path) for path, stat in _files(place))
            for number, (changed, path) in enumerate(ages):
                if now - changed > seconds or (most is not None and len(ages) - number > most):
                    path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def delivering(self) -> Iterator[bool]:
        """Hold the outbox for delivering, if nobody else does; say whether."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked_if_free(self.folder / ".delivering") as held:
            yield held

    def _count(self, beginning: str) -> int:
        try:
            return sum(name.startswith(beginning) for name in os.listdir(self.folder))
        except FileNotFoundError:
            return 0

    @property
    def _done(self) -> Path:
        return self.folder / "done"

    @property
    def _dead(self) -> Path:
        return self.folder / "dead"

    def _path(self, delivery: Delivery) -> Path:
        return self.folder / f"{delivery.id}.json"

    def _write(self, place: Path, delivery: Delivery) -> None:
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"{delivery.id}.json"
        aside = place / f".{delivery.id}.{os.getpid()}"
        with aside.open("w", encoding="utf-8") as file:
            json.dump(delivery.as_dict(), file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)


def _by_age(delivery: Delivery) -> tuple[float, str]:
    return delivery.made_at, delivery.id


def _read(path: Path) -> Delivery | None:
    """Read one; what cannot be read holds none of the others up."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        return Delivery.from_dict(json.loads(path.read_text("utf-8")))
    return None


def _files(place: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(place) as entries:
        for entry in entries:
            if entry.name.endswith(".json") and entry.name[0] != ".":
                with contextlib.suppress(FileNotFoundError):
                    found.append((Path(entry.path), entry.stat(follow_symlinks=False)))
    return found
