"""Running a run again: with what it had, with other values, or with exactly the data and the image that it had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from trainyard.core.accounts import Caller
from trainyard.core.runs import Run
from trainyard.core.service import Service
from trainyard.core.starting import Asked, Starting
from trainyard.core.starts import Start
from trainyard.domain.names import fault_of_run_name
from trainyard.domain.overrides import with_texts_read
from trainyard.errors import Problem, TrainyardError

_HINT = "Run it again without --exact."


@dataclass(frozen=True)
class Rerunning:
    """The use case over those of runs and starts."""

    service: Service
    starting: Starting

    def rerun(
        self,
        model_id: str,
        changes: Mapping[str, Any],
        exact: bool,
        caller: Caller,
        key: str = "",
        resume: bool = False,
        name: str = "",
    ) -> Start:
        """Start a run that has what another one had, with changes; texts are read as the training's own values are.

        An `exact` one takes the version of the data and the image, by its digest, that the other one had. To `resume`
        it goes on from the other one's newest complete checkpoint. A `name` is its own. Raise TrainyardError: C107
        where there is no such run, C110 for what no run can be called, C108 where its checkpoints are no run's own,
        C117 with everything that is not there any more, and as `Starting.start` does.
        """
        run = self.service.run(model_id, caller)
        training = self.service.catalogue.get(run.training_id)
        if training is None:
            raise TrainyardError("C107", f"there is no run {model_id} any more", "Submit it again.")
        name = _checked_name(name)
        values = {**run.overrides, **with_texts_read(training.spec, changes)}
        if resume and training.spec.checkpoint.shared:
            hint = "Run it again without --resume: it finds them in CHECKPOINT_DIR."
            raise TrainyardError("C108", f"{model_id} shares its checkpoints with other runs", hint)
        asked = Asked(training.id, values, parent=run.model_id, resume=resume, name=name)
        return self.starting.start(self._exactly(asked, run) if exact else asked, caller, key)

    def _exactly(self, asked: Asked, run: Run) -> Asked:
        """Add what a run has to have that repeats another one."""
        version, image = self.service.version_of(run.key), run.outcome.image if run.outcome else ""
        problems = []
        if not version:
            problems.append(Problem(f"{run.model_id} never had its data, or it is not known.", _HINT, code="C117"))
        if not self.service.catalogue.zip_path(run.training_id).exists():
            problems.append(Problem("the zip is not kept any more.", "Submit it again.", code="C117"))
        if problems:
            raise TrainyardError("C117", f"{run.model_id} cannot be repeated exactly", _HINT, problems)
        return replace(asked, data_version=version or "", image=image)


def _checked_name(name: str) -> str:
    name = name.strip()
    if fault := fault_of_run_name(name):
        problems = [Problem(*fault, path="name", code="C110")]
        raise TrainyardError("C110", "no run can be called so", fault[1], problems)
    return name
