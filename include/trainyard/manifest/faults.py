"""Collect what is wrong with a document, one problem a place, in the order of the file."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.document import Document, Path, join_path
from trainyard.manifest.masking import MASK, mask_url, shown
from trainyard.manifest.placeholders import is_filler

# More than this nobody reads, and a hostile file could have ten thousand.
MAX_PROBLEMS = 100
_ADDRESSES = {"endpoint_url", "auth_url"}
_HARMLESS = _ADDRESSES | {"region", "domain_name", "project_id", "type", "path", "name", "bucket", "container", "id"}
# Below these a value is shown only where it is surely no secret: text in the place of a map may be all of the map.
_STORES = {
    "connection",
    "data_stores",
    "notify",
    "training_data",
    "training_data_reference",
    "training_results",
    "training_results_reference",
}


@dataclass
class Faults:
    """The problems found in one document. Only the first problem of a place is kept."""

    document: Document
    found: dict[Path, Problem] = field(default_factory=dict)
    more: int = 0

    def add(
        self,
        path: Path,
        message: str,
        hint: str,
        code: str = "C101",
        *,
        at_key: bool = False,
        place: tuple[int, int] | None = None,
    ) -> None:
        """Note a problem of the value at a path, or of its key where the value is not the point.

        `place` is line and column where they are known more exactly than those of the value. The value of an unknown
        key is not shown: it may be a secret whose key was torn.
        """
        if path in self.found:
            return
        if len(self.found) >= MAX_PROBLEMS:
            self.more += 1
            return
        place = place or self.document.nearest_position(path, at_key=at_key)
        shown_path = mask_url(join_path(path))
        self.found[path] = Problem(
            mask_url(message), hint, shown_path, *place, None if at_key else self._seen(path), code
        )

    def __contains__(self, path: Path) -> bool:
        return path in self.found

    @property
    def problems(self) -> list[Problem]:
        found = sorted(self.found.values(), key=lambda problem: (problem.line or 0, problem.column or 0))
        return found if not self.more else [*found, _rest(self.more)]

    def raise_any(self) -> None:
        """Raise TrainyardError with all problems, if there are any."""
        if self.found:
            raise TrainyardError.refused(self.problems)

    def _seen(self, path: Path) -> str | None:
        text = self.document.text(path)
        if text is None or is_filler(text):
            return text
        if not text.strip():
            return "''"
        key = next((step for step in reversed(path) if isinstance(step, str)), "")
        if (_STORES.intersection(path) and key not in _HARMLESS) or (key in _ADDRESSES and "@" in text):
            return MASK
        return shown(key, text)


def _rest(count: int) -> Problem:
    return Problem(f"there are {count} problems more.", "Fix these first.")
