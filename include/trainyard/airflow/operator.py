"""The train task: one pod per run and attempt, found again by name, never trained again once it succeeded."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from trainyard.airflow.app import current_app
from trainyard.airflow.cancel import check_not_canceled
from trainyard.airflow.failures import RetryUnlessFinal
from trainyard.airflow.links import results_place, run_page, whole_log
from trainyard.airflow.outcomes import end_with, outcome_of_step
from trainyard.airflow.programlog import ProgramLog
from trainyard.airflow.runkeys import run_of
from trainyard.airflow.runsecrets import secrets_of
from trainyard.airflow.trigger import TrainingPodTrigger
from trainyard.cluster.diagnosis import diagnose, ended
from trainyard.cluster.podclient import TrainingPods
from trainyard.cluster.run import pod_options
from trainyard.cluster.spec import PodRun, training_pod
from trainyard.core.catalogue import Training
from trainyard.domain.names import RunKey
from trainyard.domain.outcome import Outcome
from trainyard.domain.plan import Plan
from trainyard.domain.training import TrainingSpec
from trainyard.steps.checkpoints import resumed_from
from trainyard.steps.stage import staged_path
from trainyard.workspace.attempts import Attempts
from trainyard.workspace.checkpoints import newest_complete
from trainyard.workspace.environments import environment_for
from trainyard.workspace.stopping import as_stopped, words_of_stop

# Tries that only look for the run's pod again: after a worker's death, after an API that was silent for long.
_LOOKS = 5


class TrainOperator(KubernetesPodOperator):
    """KubernetesPodOperator with the parts replaced that can lose a long training.

    The plain operator deletes a healthy pod after an API outage, starts a second one when its supervisor died, trains
    a finished run again on a retry, and loses log lines. Here the pod is a value made by `cluster/spec.py`, found again
    by its labels; it is waited for by a trigger that outlives outages and ends the task; its outcome comes from its
    status, its log from the workspace; and it is removed by the run's cleanup, after everything that could need it.
    """

    template_fields = ()  # nothing of a manifest is a template: ${…} and {{…}} belong to the training program

    def __init__(self, *, training: Training, **kwargs: Any) -> None:
        settings = current_app().settings
        super().__init__(
            kubernetes_conn_id=settings.kubernetes_connection,
            namespace=settings.namespace,
            image=training.plan.image,
            name=training.id.lower(),
            pool=training.plan.pool,
            pool_slots=training.plan.pool_slots,
            retries=_retries(training.spec) + _LOOKS,
            deferrable=True,
            do_xcom_push=False,
            get_logs=False,
            log_pod_spec_on_failure=False,
            retry_policy=RetryUnlessFinal(),
            automount_service_account_token=False,
            **kwargs,
        )
        self.training = training

    def execute(self, context: Mapping[str, Any]) -> None:
        """Find the run's pod or create it, then wait in the triggerer, which ends the task with the pod."""
        with outcome_of_step(context):
            run = self._run(context)
            self._log_places(run)
            check_not_canceled(context)
            training = self._of_run(run, context)
            attempts, found = self._attempts(context, run, training), self._pods.newest(run)
            if words_of_stop(folder := current_app().workspace.run(run)):
                self._pods.end_all(run, current_app().settings.grace_seconds)
                return end_with(context, as_stopped(folder, _last_of(self._pods.newest(run), training.plan)))
            if found:  # a worker that died may not have come to note it
                attempts.note(TrainingPods.attempt(found))
            taken = attempts.last > 0 and _is_taken(found, training.plan)
            if taken and attempts.spent:
                return end_with(context, _loss(found, training.plan, attempts), final=True)
            if taken:
                self._pods.end_all(run, current_app().settings.grace_seconds)
            pod = found if found and not taken else self._new_pod(context, run, training, attempts)
            if outcome := _end_of(pod, training.plan):
                return end_with(context, outcome, last_words=self._show_rest(run, outcome))
            self.pod_name = pod["metadata"]["name"]
        return self._wait(run, self.pod_name, training.plan, last=attempts.spent)

    def on_kill(self) -> None:
        """Stop the pod when the task is killed while it still runs here, before it waits in the triggerer."""
        if pod_name := getattr(self, "pod_name", None):
            self._pods.stop(pod_name, current_app().settings.grace_seconds)

    def _log_places(self, run: RunKey) -> None:
        self.log.info("Run: %s", run_page(run.model_id))
        self.log.info("Results: %s", self._results(run))

    def _results(self, run: RunKey) -> str:
        return results_place(self.training.spec.results, run.model_id)

    def _show_rest(self, run: RunKey, outcome: Outcome) -> list[str]:
        """Log the end of what a program printed that ended while nobody waited for it; return its last words."""
        whole = whole_log(run_page(run.model_id), self._results(run))
        program = ProgramLog(current_app().workspace.run(run), whole)
        try:
            for line in program.look(ended=True):
                self.log.info(line)
            program.keep()
        except OSError as error:
            self.log.warning("The program's log cannot be shown here: %s", error.strerror)
        return program.last_words() if outcome.exit_code else []

    def _run(self, context: Mapping[str, Any]) -> RunKey:
        return run_of(context, self.training.id, current_app().catalogue)

    def _of_run(self, run: RunKey, context: Mapping[str, Any]) -> Training:
        catalogue = current_app().catalogue
        training, start = (
            self.training.of_run(catalogue.values_of(run, context["dag_run"].conf)),
            catalogue.start_of(run),
        )
        return replace(training, plan=replace(training.plan, image=start.image)) if start and start.image else training

    @property
    def _pods(self) -> TrainingPods:
        return TrainingPods(self.client, current_app().settings.namespace)

    def _attempts(self, context: Mapping[str, Any], run: RunKey, training: Training) -> Attempts:
        folder = current_app().workspace.run(run)
        return Attempts(folder, context["ti"].max_tries, 1 + _retries(training.spec))

    def _new_pod(
        self, context: Mapping[str, Any], run: RunKey, training: Training, attempts: Attempts
    ) -> dict[str, Any]:
        """Create the pod of the run's next attempt, once its account has room for it."""
        app, number = current_app(), attempts.last + 1
        body = training_pod(self._pod_run(run, training, number))
        if account := app.limits().accounts.get(training.account):
            self._pods.await_room(run, training.plan, account.gpus, app.settings.grace_seconds)
        self.log.info("Creating pod %s with %s GPUs.", body["metadata"]["name"], training.plan.gpus)
        if values := secrets_of(context, training):
            self._pods.keep_secrets(run, values)
        pod = self._pods.create(body)
        attempts.note(number)
        return pod

    def _pod_run(self, run: RunKey, training: Training, attempt: int) -> PodRun:
        app, spec = current_app(), training.spec
        workspace = app.workspace
        folder = workspace.run(run)
        environment = (
            environment_for(workspace, training.account, folder, training.plan.image, training.zip_sha256)
            if spec.requirements
            else None
        )
        return PodRun(
            key=run,
            attempt=attempt,
            spec=spec,
            plan=training.plan,
            namespace=app.settings.namespace,
            volume=app.volume,
            dataset_subpath=workspace.subpath(staged_path(run, spec, workspace)),
            run_subpath=workspace.subpath(folder.root),
            environment_subpath=workspace.subpath(environment.path) if environment else "",
            environment_ready=environment is not None and environment.ready,
            trial=start.trial if (start := app.catalogue.starts.get(run.model_id)) else None,
            checkpoints_subpath=workspace.subpath(workspace.checkpoints_of(run, training.account, spec)),
            resume_from=self._resume_from(run, training, attempt),
            **pod_options(app.settings, training.account),
        )

    def _resume_from(self, run: RunKey, training: Training, attempt: int) -> str:
        """Return the checkpoint that an attempt goes on from, empty where there is none.

        That is the run's own newest one after its first attempt, else the one of the run that it repeats.
        """
        workspace, spec = current_app().workspace, training.spec
        given = resumed_from(workspace.run(run))
        if attempt == 1 or not spec.checkpoint.resumes:
            return given
        return newest_complete(workspace.checkpoints_of(run, training.account, spec), workspace.run(run)) or given

    def _wait(self, run: RunKey, pod_name: str, plan: Plan, last: bool) -> None:
        settings = current_app().settings
        trigger = TrainingPodTrigger(
            pod_name=pod_name,
            namespace=settings.namespace,
            conn_id=settings.kubernetes_connection,
            poll_seconds=settings.pod_poll_seconds,
            outage_seconds=settings.api_outage_seconds,
            image_seconds=settings.image_timeout_seconds,
            grace_seconds=settings.grace_seconds,
            gpus=plan.gpus,
            memory=plan.memory,
            last=last,
            run=str(run),
            page=run_page(run.model_id),
            results=self._results(run),
        )
        # The trigger ends the task, so that no method is ever called; one has to be named all the same.
        self.defer(trigger=trigger, method_name="execute")


def _end_of(pod: dict[str, Any], plan: Plan) -> Outcome | None:
    now = time.time()
    return diagnose(pod, plan.gpus, plan.memory, now) if ended(pod, now) else None


def _last_of(pod: dict[str, Any] | None, plan: Plan) -> Outcome:
    """Return how a pod ended that runs no more, or that there is none."""
    lost = (pod and _end_of(pod, plan)) or diagnose(None, plan.gpus, plan.memory)
    if lost is None:
        raise AssertionError("a pod that is gone has ended")
    return lost


def _is_taken(pod: dict[str, Any] | None, plan: Plan) -> bool:
    """Say whether the infrastructure has taken a pod that was there: it is gone, going, or ended by no program."""
    if pod is None:
        return True
    outcome = _end_of(pod, plan)
    return outcome.retried if outcome else "deletionTimestamp" in pod["metadata"]


def _loss(pod: dict[str, Any] | None, plan: Plan, attempts: Attempts) -> Outcome:
    """Tell how the last attempt ended, and which it was."""
    lost = _last_of(pod, plan)
    return replace(lost, message=f"{lost.message}; this was attempt {attempts.last}")


def _retries(spec: TrainingSpec) -> int:
    """Return how often a pod that the infrastructure took is replaced."""
    return current_app().settings.pod_retries if spec.retries is None else spec.retries
