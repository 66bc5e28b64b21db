"""The steps of a training's DAG: each opens what it needs, calls its plain function and records how it ended."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from trainyard.airflow.app import catalogue_of, limits_of
from trainyard.airflow.canceled import canceled_by, check_not_canceled, who_canceled
from trainyard.airflow.killing import killed_at_once
from trainyard.airflow.outcomes import KEY, LEFT_OUT, USED, end_with, outcome_of_step, outcome_so_far, said
from trainyard.airflow.runkeys import run_of
from trainyard.core.catalogue import Training
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.settings import read_settings

log = logging.getLogger(__name__)


def validate(training_id: str, **context: Any) -> None:
    """Check that all that the training names is really there."""
    from trainyard.domain.plan import make_plan
    from trainyard.steps.validate import validate as check

    with outcome_of_step(context), killed_at_once():
        check_not_canceled(context)
        settings, training, _ = _of(training_id, context)
        catalogue_of(settings).mark_begun(training_id)
        training = training.of_run(context["dag_run"].conf)
        limits = limits_of(settings)
        make_plan(training.spec, _account(limits, training), limits)
        data, results = _stores(training, settings)
        check(training.spec, data, results, catalogue_of(settings).zip_path(training_id), training.zip_sha256)


def stage(training_id: str, **context: Any) -> None:
    """Bring dataset and model definition into the workspace. No GPU is held meanwhile."""
    from trainyard.manifest.archive import ArchiveRules
    from trainyard.steps.stage import stage as bring
    from trainyard.stores.moving.terms import Terms
    from trainyard.workspace.layout import Workspace

    with outcome_of_step(context), killed_at_once():
        check_not_canceled(context)
        settings, training, run = _of(training_id, context)
        training = training.of_run(context["dag_run"].conf)
        data, results = _stores(training, settings)
        workspace = Workspace(Path(settings.workspace))
        bring(
            key=run,
            spec=training.spec,
            account=training.account,
            data=data,
            results=results,
            workspace=workspace,
            zip_path=catalogue_of(settings).zip_path(training_id),
            rules=ArchiveRules.of(settings),
            threads=settings.transfer_threads,
            report=log.info,
            terms=Terms.of(settings),
            cache_max_bytes=settings.dataset_cache_max_bytes,
        )
        undo_if_canceled(context, run, workspace)


def upload(training_id: str, **context: Any) -> None:
    """Store results and logs in the results bucket, however the training ended."""
    from trainyard.domain.leftout import left_out_json
    from trainyard.steps.cleanup import has_made
    from trainyard.steps.upload import upload as store
    from trainyard.stores.moving.terms import Terms
    from trainyard.workspace.layout import Workspace

    with outcome_of_step(context):
        settings, training, run = _of(training_id, context)
        ended = _end_of_training(context)
        if ended.code is not None:
            _end_pods(run, settings)
            _tell_used(context, run, training, settings)
        workspace = Workspace(Path(settings.workspace))
        save = partial(
            store,
            key=run,
            spec=training.spec,
            account=training.account,
            workspace=workspace,
            zip_path=catalogue_of(settings).zip_path(training_id),
            outcome=ended,
            threads=settings.transfer_threads,
            report=log.info,
            terms=Terms.of(settings),
        )
        if has_made(workspace.run(run)):
            stored = save(results=results_of(training, settings))
            if stored.left_out:
                context["ti"].xcom_push(key=LEFT_OUT, value=left_out_json(stored.left_out))
        else:
            _save_reason(lambda: save(results=results_of(training, settings), patience=0.0))


def _save_reason(save: Callable[[], object]) -> None:
    """Store why a program did not run, unless the store refuses or fails: the history has it, too.

    Often the store itself is the reason, and would be waited for in vain.
    """
    from trainyard.errors import TrainyardError

    try:
        save()
    except TrainyardError as error:
        log.warning("The reason is not in the results bucket: %s", error)


def cleanup(training_id: str, **context: Any) -> None:
    """Remove everything that the run made on the cluster and in the workspace, except its logs.

    Results that could not be stored are kept, and fail the run.
    """
    from trainyard.steps.cleanup import cleanup as clean
    from trainyard.workspace.layout import Workspace

    with outcome_of_step(context):
        settings = read_settings(os.environ)
        run = run_of(context, training_id, catalogue_of(settings))
        removed = _pods(settings).remove_all(run)
        all_stored = clean(run, Workspace(Path(settings.workspace)))
        log.info("Removed %s pods and the folders of %s.", removed, training_id)
        if not all_stored:
            place = Workspace(Path(settings.workspace)).run(run).result
            message = f"results are not in the bucket; they are kept in {place}"
            # For good: the upload step has had its tries.
            hint = "Clear the upload step in Airflow once the store works again."
            end_with(context, Outcome("S305", message, hint), final=True)


def undo_if_canceled(context: Any, run: RunKey, workspace: Any) -> None:
    """Undo the staging of a run that was canceled meanwhile: its cleanup may have been there before it ended."""
    from trainyard.errors import TrainyardError
    from trainyard.steps.cleanup import cleanup as clean

    try:
        check_not_canceled(context)
    except TrainyardError:
        clean(run, workspace)
        raise


def _end_of_training(context: Any) -> Outcome:
    """Return how the run went up to here; a train step that left no word was stopped from outside."""
    found = outcome_so_far(context, ["validate", "stage", "train"])
    if found is not None:
        return found
    if who := who_canceled(context):
        return canceled_by(who)
    return Outcome("S500", "the run was stopped before its program ended", "Look at the log of its steps in Airflow.")


def _tell_used(context: Any, run: RunKey, training: Training, settings: Any) -> None:
    """Say what the program used up to here where the train step was stopped before it could."""
    from trainyard.workspace.layout import Workspace
    from trainyard.workspace.marks import started_at

    started, now = started_at(Workspace(Path(settings.workspace)).run(run)), time.time()
    if started is None or said(context, "train", KEY) is not None:
        return
    gpus = training.of_run(context["dag_run"].conf).plan.gpus
    used = Outcome(gpu_seconds=gpus * (now - started), started_at=started, finished_at=now)
    context["ti"].xcom_push(key=USED, value=used.as_dict())


def _of(training_id: str, context: Any) -> tuple[Any, Training, RunKey]:
    """Return what a step needs: the settings, its training and its run."""
    from trainyard.errors import TrainyardError

    settings = read_settings(os.environ)
    catalogue = catalogue_of(settings)
    training, run = catalogue.get(training_id), run_of(context, training_id, catalogue)
    if training is None:
        raise TrainyardError("S301", f"the catalogue has no training {training_id}", "Submit it again.")
    return settings, training, run


def _account(limits: Any, training: Training) -> Any:
    from trainyard.errors import TrainyardError

    account = limits.accounts.get(training.account)
    if account is None:
        raise TrainyardError("C104", f"there is no account {training.account} any more", "Submit it to another one.")
    return account


def data_of(training: Training, settings: Any) -> Any:
    """Open a training's data bucket inside a task, with the training's own credentials."""
    from trainyard.airflow.connections import read_credentials
    from trainyard.domain.names import data_connection
    from trainyard.stores.opening import open_store

    return open_store(training.spec.data, read_credentials(data_connection(training.id)), settings)


def results_of(training: Training, settings: Any) -> Any:
    """Open a training's results bucket inside a task, with the training's own credentials."""
    from trainyard.airflow.connections import read_credentials
    from trainyard.domain.names import results_connection
    from trainyard.stores.opening import open_store

    return open_store(training.spec.results, read_credentials(results_connection(training.id)), settings)


def _stores(training: Training, settings: Any) -> tuple[Any, Any]:
    return data_of(training, settings), results_of(training, settings)


def _pods(settings: Any) -> Any:
    from trainyard.airflow.trainingpods import TrainingPods

    return TrainingPods.of(settings)


def _end_pods(run: RunKey, settings: Any) -> None:
    """Make sure that no program writes results any more while they are stored."""
    _pods(settings).end_all(run, settings.grace_seconds)
