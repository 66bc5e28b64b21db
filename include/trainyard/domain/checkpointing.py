"""What becomes of a program's checkpoints, and which of them are complete."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# A file that was written to its own name, not renamed to it, counts once it has not changed for so long.
QUIET_SECONDS = 30.0
_HALF_WRITTEN = re.compile(
    r"^\.|^_?te?mp[._-]|~$|\.(tmp|temp|part|partial|incomplete|lock|swp)([._-][^.]*)?$", re.IGNORECASE
)
_BESIDE = (".done", ".complete")
INSIDE = frozenset((".done", ".complete", "DONE", "COMPLETE", "_SUCCESS"))


@dataclass(frozen=True)
class Checkpointing:
    """What a manifest says of checkpoints.

    `shared` are those in one folder and bucket for all of the account's runs, as the original service had it. The
    newest complete one is where another attempt goes on, if `resumes`. It is copied to the bucket every so many seconds
    while the program runs, if these are not 0, and `keep` of the newest are kept there, all if it is 0.
    """

    shared: bool = False
    resumes: bool = True
    every_seconds: float = 0.0
    keep: int = 0

    @classmethod
    def from_dict(cls, data: Mapping[str, Any] | None) -> Checkpointing:
        """Read it back; keys this version does not know are dropped."""
        return cls(**{key: value for key, value in (data or {}).items() if key in cls.__dataclass_fields__})


OWN_CHECKPOINTS = Checkpointing()


@dataclass(frozen=True)
class Candidate:
    """A file or folder in CHECKPOINT_DIR. `changed` is when the last file in it was written (seconds since the epoch).

    `renamed` says that it has been given its name since; `marked` that a file in it says that it is complete.
    """

    name: str
    changed: float
    renamed: bool = False
    marked: bool = False


def complete(found: Iterable[Candidate], alive_at: float) -> list[Candidate]:
    """Return the complete ones, the newest first; `alive_at` is when the program was seen alive last.

    Complete is what was renamed to its name once it was written, or is marked: by a file in it, or by one beside it,
    `NAME.done` or `NAME.complete`. Where a program marks any, those alone count. Else a file that was not renamed
    counts too if the program lived on for a while without changing it.
    """
    every = list(found)
    markers = {each.name for each in every if each.name.endswith(_BESIDE)}
    names = [each for each in every if each.name not in markers and not is_half_written(each.name)]
    marked = [each for each in names if each.marked or any(each.name + end in markers for end in _BESIDE)]
    good = marked or [each for each in names if each.renamed or alive_at - each.changed >= QUIET_SECONDS]
    return sorted(good, key=lambda each: (each.changed, each.name), reverse=True)


def is_half_written(name: str) -> bool:
    """Say whether a name is one that programs write under before they rename."""
    return _HALF_WRITTEN.search(name) is not None or not name.isprintable()
