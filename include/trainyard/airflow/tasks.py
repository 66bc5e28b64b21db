"""The steps of a training's DAG: each opens what it needs, calls its plain function and records how it ended."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from trainyard.airflow.app import App, current_app
from trainyard.airflow.cancel import canceled_by, check_not_canceled, who_canceled
from trainyard.airflow.outcomes import (
    KEY,
    LEFT_OUT,
    METRICS,
    USED,
    end_with,
    outcome_of_step,
    outcome_so_far,
    xcom_of,
)
from trainyard.airflow.runkeys import run_of
from trainyard.airflow.runsecrets import secrets_of, starter_of
from trainyard.core.catalogue import Training
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.workspace.layout import Workspace

log = logging.getLogger(__name__)
_KILLED = 128 + signal.SIGTERM


def validate(training_id: str, **context: Any) -> None:
    """Check that all that the training names is really there."""
    from trainyard.domain.plan import make_plan
    from trainyard.steps.validate import validate as check

    with outcome_of_step(context), killed_at_once():
        check_not_canceled(context)
        app, training, run = _of(training_id, context)
        app.catalogue.mark_begun(training_id)
        training = training.of_run(_given(app, run, context))
        limits = app.limits()
        make_plan(training.spec, _account(limits, training), limits, starter_of(context, training))
        secrets_of(context, training)
        data, results = app.data_store(training), app.results_store(training)
        check(training.spec, data, results, app.catalogue.zip_path(training_id), training.zip_sha256)


def stage(training_id: str, **context: Any) -> None:
    """Bring dataset and model definition into the workspace. No GPU is held meanwhile."""
    from trainyard.manifest.archive import ArchiveRules
    from trainyard.steps.stage import stage as bring
    from trainyard.stores.moving.values import Terms

    with outcome_of_step(context), killed_at_once():
        check_not_canceled(context)
        app, training, run = _of(training_id, context)
        training, start = training.of_run(_given(app, run, context)), app.catalogue.start_of(run)
        bring(
            key=run,
            spec=training.spec,
            account=training.account,
            data=app.data_store(training),
            results=app.results_store(training),
            workspace=app.workspace,
            zip_path=app.catalogue.zip_path(training_id),
            rules=ArchiveRules.of(app.settings),
            threads=app.settings.transfer_threads,
            report=log.info,
            terms=Terms.of(app.settings),
            cache_max_bytes=app.settings.dataset_cache_max_bytes,
            data_version=start.data_version if start else "",
            resume_from=start.parent if start and start.resume else "",
        )
        undo_if_canceled(context, run, app.workspace)


def upload(training_id: str, **context: Any) -> None:
    """Store results and logs in the results bucket, however the training ended."""
    from trainyard.domain.leftout import left_out_json
    from trainyard.domain.overrides import overrides
    from trainyard.manifest.effective import effective_manifest
    from trainyard.steps.cleanup import has_made
    from trainyard.steps.upload import upload as store
    from trainyard.stores.moving.values import Terms

    with outcome_of_step(context):
        app, training, run = _of(training_id, context)
        ended = _end_of_training(context)
        if ended.code is not None:
            # No program writes results any more while they are stored.
            app.pods().end_all(run, app.settings.grace_seconds)
            _push_used(context, app, run, training)
        save = partial(
            store,
            key=run,
            spec=training.spec,
            account=training.account,
            workspace=app.workspace,
            zip_path=app.catalogue.zip_path(training_id),
            outcome=ended,
            threads=app.settings.transfer_threads,
            report=log.info,
            terms=Terms.of(app.settings),
            manifest=effective_manifest(training.manifest, overrides(training.spec, _given(app, run, context))),
        )
        if has_made(app.workspace.run(run)):
            stored = save(results=app.results_store(training))
            if stored.left_out:
                context["ti"].xcom_push(key=LEFT_OUT, value=left_out_json(stored.left_out))
            if stored.metrics:
                context["ti"].xcom_push(key=METRICS, value=dict(stored.metrics))
        else:
            _save_reason(lambda: save(results=app.results_store(training), patience=0.0))


def _given(app: App, run: RunKey, context: Any) -> Mapping[str, Any]:
    """Return what the run was given in the place of its manifest's values."""
    return app.catalogue.values_of(run, context["dag_run"].conf)


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
    from trainyard.airflow.notifying import notify_end
    from trainyard.airflow.tracking import track_run
    from trainyard.steps.cleanup import cleanup as clean

    with outcome_of_step(context):
        app = current_app()
        run = run_of(context, training_id, app.catalogue)
        removed = app.pods().remove_all(run)
        training = app.catalogue.get(training_id)
        if training is None or training.spec.secrets:
            app.pods().drop_secrets(run)
        sent = track_run(context, app, run, partial(_end_of_run, context, run, app.workspace))
        all_stored = clean(run, app.workspace, keep_metrics=not sent)
        notify_end(context, app, run, lambda: _end_of_run(context, run, app.workspace))
        log.info("Removed %s pods and the folders of %s.", removed, training_id)
        if not all_stored:
            # For good: the upload step has had its tries.
            end_with(context, _not_stored(app.workspace, run), final=True)


def _not_stored(workspace: Workspace, run: RunKey) -> Outcome:
    message = f"results are not in the bucket; they are kept in {workspace.run(run).result}"
    return Outcome("S305", message, "Clear the upload step in Airflow once the store works again.")


def _end_of_run(context: Any, run: RunKey, workspace: Workspace) -> Outcome:
    """Return how the run went, and when its program ran; of one that was stopped the upload step knows that."""
    from trainyard.steps.cleanup import has_stored

    ended, used = _end_of_training(context), Outcome.from_dict(xcom_of(context, "upload", USED))
    trained = ended if ended.started_at is not None else used
    if ended.code is None and not has_stored(workspace.run(run)):
        ended = replace(_not_stored(workspace, run), exit_code=ended.exit_code)
    return replace(
        ended,
        gpu_seconds=trained.gpu_seconds,
        started_at=trained.started_at,
        finished_at=trained.finished_at,
    )


def undo_if_canceled(context: Any, run: RunKey, workspace: Workspace) -> None:
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


def _push_used(context: Any, app: App, run: RunKey, training: Training) -> None:
    """Record what the program used up to here where the train step was stopped before it could."""
    from trainyard.workspace.layout import started_at

    started, now = started_at(app.workspace.run(run)), time.time()
    if started is None or xcom_of(context, "train", KEY) is not None:
        return
    gpus = training.of_run(_given(app, run, context)).plan.all_gpus
    used = Outcome(gpu_seconds=gpus * (now - started), started_at=started, finished_at=now)
    context["ti"].xcom_push(key=USED, value=used.as_dict())


def _of(training_id: str, context: Any) -> tuple[App, Training, RunKey]:
    """Return what a step needs: the service's parts, its training and its run."""
    from trainyard.errors import TrainyardError

    app = current_app()
    training, run = app.catalogue.get(training_id), run_of(context, training_id, app.catalogue)
    if training is None:
        raise TrainyardError("S301", f"the catalogue has no training {training_id}", "Submit it again.")
    return app, training, run


def _account(limits: Any, training: Training) -> Any:
    from trainyard.errors import TrainyardError

    account = limits.accounts.get(training.account)
    if account is None:
        raise TrainyardError("C104", f"there is no account {training.account} any more", "Submit it to another one.")
    return account


@contextmanager
def killed_at_once() -> Iterator[None]:
    """End the process at SIGTERM, in the midst of whatever it does; for the main thread of a step that survives that.

    Airflow's own answer to SIGTERM lets a Python function run on, for five seconds until SIGKILL: a staging would go on
    while the canceled run is being cleaned up.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(_KILLED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
