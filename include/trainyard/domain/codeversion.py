"""The state of the git repository that a run's program was packed from."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from trainyard.errors import TrainyardError

MAX_DIFF_BYTES = 30_000
_MAX_BRANCH_LENGTH = 250
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MIN_SECRET_LENGTH = 4


@dataclass(frozen=True)
class CodeVersion:
    """A commit, and what the packed files have beyond it.

    `changed` counts the files that differ from the commit; `diff` is how, for those that git knows, and `diff_cut` says
    that it goes on.
    """

    commit: str
    branch: str = ""
    changed: int = 0
    diff: str = ""
    diff_cut: bool = False

    @property
    def dirty(self) -> bool:
        return self.changed > 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    def as_answer(self) -> dict[str, Any]:
        return {**asdict(self), "dirty": self.dirty}

    def with_diff(self, diff: str) -> CodeVersion:
        """Return the version with a diff, no longer than is kept of one."""
        whole = _CONTROL.sub("\ufffd", diff).encode(errors="replace")
        kept = whole[:MAX_DIFF_BYTES].decode(errors="ignore")
        return replace(self, diff=kept, diff_cut=len(whole) > MAX_DIFF_BYTES)

    def masked(self, secrets: Iterable[str], mask: str) -> CodeVersion:
        """Return the version without the given secrets in its diff."""
        diff = self.diff
        for secret in secrets:
            if len(secret) >= _MIN_SECRET_LENGTH:
                diff = diff.replace(secret, mask)
        return replace(self, diff=diff)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CodeVersion:
        return cls(**{key: value for key, value in data.items() if key in cls.__dataclass_fields__})


def read_code_version(text: str) -> CodeVersion | None:
    """Read what a client reports of its repository, None where it reports nothing. Raise TrainyardError C110."""
    if not text:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused("is no JSON") from None
    if not isinstance(data, dict):
        raise _refused("is no JSON object")
    commit, branch, changed = data.get("commit"), data.get("branch", ""), data.get("changed", 0)
    diff, cut = data.get("diff", ""), data.get("diff_cut", False)
    if not (isinstance(commit, str) and _COMMIT.fullmatch(commit)):
        raise _refused("has no commit of 40 or 64 hexadecimal digits")
    if not (isinstance(branch, str) and branch.isprintable() and len(branch) <= _MAX_BRANCH_LENGTH):
        raise _refused("has a branch that cannot be shown")
    if type(changed) is not int or not 0 <= changed < 2**31:
        raise _refused("has a number of changed files that is none")
    if not isinstance(diff, str) or not isinstance(cut, bool):
        raise _refused("has a diff that is no text")
    found = CodeVersion(commit, branch, changed).with_diff(diff)
    return replace(found, diff_cut=found.diff_cut or cut)


def _refused(why: str) -> TrainyardError:
    return TrainyardError("C110", f"the field code {why}", "Leave it out, or see docs/rest.md.")
