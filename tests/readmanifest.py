"""Reading a manifest as the front door does, for tests that want what it says or the first refusal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trainyard.domain.limits import Limits
from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.reading import Examination, ManifestRead, examine_manifest


def read_manifest(data: bytes, limits: Limits, **given: Any) -> ManifestRead:
    """Read a manifest; raise TrainyardError by its first problem, with every problem in the order of the file."""
    found = examine_manifest(data, limits, **given)
    if found.read is None:
        raise TrainyardError.refused(found.problems)
    return found.read


def located(found: ManifestRead, problems: Iterable[Problem]) -> list[Problem]:
    """Return a plan's problems with their places in a good manifest."""
    return Examination(places=found.places).unreported(problems)
