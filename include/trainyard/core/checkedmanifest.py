"""One manifest without a fault, and the training that it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trainyard.core.catalogue import Training
from trainyard.core.search.study import missing_package, missing_sentence
from trainyard.core.search.trials import trial_id
from trainyard.domain.hyperparameters import Value
from trainyard.domain.names import new_model_id
from trainyard.domain.plan import Plan
from trainyard.domain.search import SearchSpec
from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.grid import Grid, annotated, spec_with
from trainyard.manifest.reading import ManifestRead

# Between two runs of a submission, so that the list has them in this order.
APART_SECONDS = 0.001


@dataclass(frozen=True)
class CheckedManifest:
    """One manifest without a fault: its plan, its masked text, and the hyperparameters to set for each of its runs."""

    read: ManifestRead
    plan: Plan
    text: str
    points: list[dict[str, Value]]

    @property
    def count(self) -> int:
        return len(self.points)

    def training(self, submitted_at: float, common: Mapping[str, Any]) -> Training:
        """Return the training; what is set for its only run stands in its spec, of several each has its own."""
        known, only = new_model_id(), self.points[0] if self.count == 1 else {}
        return Training(
            id=known,
            submitted_at=submitted_at,
            spec=spec_with(self.read.submission.spec, only),
            plan=self.plan,
            manifest=annotated(self.text, only),
            warnings=self.read.submission.warnings,
            settings=only,
            runs=tuple(trial_id(known, number) for number in range(self.count)) if self.count > 1 else (),
            **common,
        )


def checked_manifest(
    grid: Grid, check: Callable[[ManifestRead], None], read: ManifestRead, plan: Plan
) -> CheckedManifest:
    check(read)
    spec = read.submission.spec
    points = grid.points(spec)
    if spec.search and (fault := _fault_of_search(spec.search, points)):
        line = read.document.position(("search",)) or (None, None)
        raise TrainyardError.refused([Problem(*fault, "search", *line)])
    return CheckedManifest(read, plan, read.masked, points)


def _fault_of_search(search: SearchSpec, points: Sequence[Mapping[str, Value]]) -> tuple[str, str] | None:
    if len(points) > 1:
        return "a search and several values to set are both given.", "Put the values into the space of the search."
    if package := missing_package(search.sampler):
        message, hint = missing_sentence(search.sampler, package)
        return f"{message}.", hint
    return None
