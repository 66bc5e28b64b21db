"""The train task: the pods of a run's attempt, found again by label, never trained again once they succeeded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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
from trainyard.cluster.diagnosis import diagnose
from trainyard.cluster.diagnosis.learners import Patience, Verdict, judge
from trainyard.cluster.learners import run_objects
from trainyard.cluster.podclient import TrainingPods
from trainyard.cluster.run import PodRun, pod_options
from trainyard.cluster.volumes import PLACES
from trainyard.core.catalogue import Training
from trainyard.domain.launching import first_that_ends
from trainyard.domain.names import RunKey, pod_name
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
    a finished run again on a retry, and loses log lines. Here a pod is a value made by `cluster/spec.py`, found again
    by its labels; it is waited for by a trigger that outlives outages and ends the task; its outcome comes from its
    status, its log from the workspace; and it is removed by the run's cleanup, after everything that could need it.
    The pods of several learners are one attempt: all of them are there, or none is.
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
        """Find the run's pods or create them, then wait in the triggerer, which ends the task with them."""
        self._train(context)

    def place_again(self, context: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Go on after the learners were taken back because the cluster had no room for all of them."""
        self.log.info("The learners are placed again: the cluster had no room for all. %s.", event["missing"])
        with outcome_of_step(context):
            run = self._run(context)
            self._attempts(context, run, self._of_run(run, context)).give_back(int(event["attempt"]))
        self._train(context)

    def _train(self, context: Mapping[str, Any]) -> None:
        with outcome_of_step(context):
            run = self._run(context)
            self._log_places(run)
            check_not_canceled(context)
            training = self._of_run(run, context)
            attempts, found = self._attempts(context, run, training), self._pods.newest_attempt(run)
            if words_of_stop(folder := current_app().workspace.run(run)):
                self._pods.end_all(run, current_app().settings.grace_seconds)
                left = _in_order(self._pods.newest_attempt(run), training.plan)
                return end_with(context, as_stopped(folder, _last_of(_judged(left, training), training.plan)))
            if found and TrainingPods.attempt(found[0]) > attempts.last:
                found = self._noted(context, run, training, attempts, found)
            pods = _in_order(found, training.plan)
            verdict = _judged(pods, training)
            taken = attempts.last > 0 and _is_taken(pods, verdict)
            if taken and attempts.spent:
                return end_with(context, _loss(verdict, training.plan, attempts), final=True)
            if taken:
                self._pods.end_all(run, current_app().settings.grace_seconds)
            if taken or not found:
                found = self._new_attempt(context, run, training, attempts)
                verdict = _judged(_in_order(found, training.plan), training)
            self.pod_names = [pod["metadata"]["name"] for pod in found]
            if verdict.outcome and not verdict.going:
                return end_with(context, verdict.outcome, last_words=self._show_rest(run, verdict))
        return self._wait(run, pod_name(run, attempts.last), training, last=attempts.spent)

    def on_kill(self) -> None:
        """Stop the pods when the task is killed while it still runs here, before it waits in the triggerer."""
        for name in getattr(self, "pod_names", ()):
            self._pods.stop(name, current_app().settings.grace_seconds)

    def _log_places(self, run: RunKey) -> None:
        self.log.info("Run: %s", run_page(run.model_id))
        self.log.info("Results: %s", self._results(run))

    def _results(self, run: RunKey) -> str:
        return results_place(self.training.spec.results, run.model_id)

    def _show_rest(self, run: RunKey, verdict: Verdict) -> list[str]:
        """Log the end of what a program printed that ended while nobody waited for it; return its last words."""
        whole = whole_log(run_page(run.model_id), self._results(run))
        program = ProgramLog(current_app().workspace.run(run), whole)
        try:
            for line in program.look(ended=True):
                self.log.info(line)
            program.keep()
        except OSError as error:
            self.log.warning("The program's log cannot be shown here: %s", error.strerror)
        return program.last_words(verdict.learner) if verdict.outcome and verdict.outcome.exit_code else []

    def _run(self, context: Mapping[str, Any]) -> RunKey:
        return run_of(context, self.training.id, current_app().catalogue)

    def _of_run(self, run: RunKey, context: Mapping[str, Any]) -> Training:
        catalogue = current_app().catalogue
        training = self.training.of_run(catalogue.values_of(run, context["dag_run"].conf))
        training, start = catalogue.as_named(run, training), catalogue.start_of(run)
        return replace(training, plan=replace(training.plan, image=start.image)) if start and start.image else training

    @property
    def _pods(self) -> TrainingPods:
        return TrainingPods(self.client, current_app().settings.namespace)

    def _attempts(self, context: Mapping[str, Any], run: RunKey, training: Training) -> Attempts:
        folder = current_app().workspace.run(run)
        return Attempts(folder, context["ti"].max_tries, 1 + _retries(training.spec))

    def _noted(
        self,
        context: Mapping[str, Any],
        run: RunKey,
        training: Training,
        attempts: Attempts,
        found: list[dict[str, Any]],
    ) -> list[dict[str, Any]]:
        """Note an attempt that a worker died over; of several learners it may not have created all."""
        number = TrainingPods.attempt(found[0])
        if len(found) < training.plan.learners and not any("deletionTimestamp" in pod["metadata"] for pod in found):
            return self._create(context, run, training, attempts, number)
        attempts.note(number)
        return found

    def _new_attempt(
        self, context: Mapping[str, Any], run: RunKey, training: Training, attempts: Attempts
    ) -> list[dict[str, Any]]:
        """Create the pods of the run's next attempt, once its account has room for them."""
        app, plan = current_app(), training.plan
        if account := app.limits().accounts.get(training.account):
            self._pods.await_room(run, plan, account.gpus, app.settings.grace_seconds)
        return self._create(context, run, training, attempts, attempts.last + 1)

    def _create(
        self, context: Mapping[str, Any], run: RunKey, training: Training, attempts: Attempts, number: int
    ) -> list[dict[str, Any]]:
        """Create what is not there yet of an attempt, and note it."""
        wanted = self._pod_run(run, training, number)
        if wanted.several:
            current_app().workspace.run(run).make_job(wanted.prefix, PLACES)
        objects = run_objects(wanted)
        self.pod_names = [body["metadata"]["name"] for body in objects.pods]
        for name in self.pod_names:
            self.log.info("Creating pod %s with %s GPUs.", name, training.plan.gpus)
        if values := secrets_of(context, training):
            self._pods.keep_secrets(run, values)
        pods = self._pods.create_all(objects)
        attempts.note(number)
        return pods

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
            watches_gpus=bool(app.watch_over(training).gpu_idle),
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

    def _wait(self, run: RunKey, pod_name: str, training: Training, last: bool) -> None:
        settings, plan = current_app().settings, training.plan
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
            learners=plan.learners,
            placement_seconds=settings.placement_seconds,
            first_learner_seconds=settings.first_learner_seconds,
            lead=_lead(training),
        )
        # The trigger ends the task, unless the cluster has no room for all learners.
        self.defer(trigger=trigger, method_name="place_again")


def _in_order(found: Sequence[dict[str, Any]], plan: Plan) -> list[dict[str, Any] | None]:
    """Return the pods of all learners of an attempt, None for each that is gone."""
    by_number = {TrainingPods.learner(pod): pod for pod in found}
    return [by_number.get(number) for number in range(1, plan.learners + 1)]


def _judged(pods: Sequence[dict[str, Any] | None], training: Training) -> Verdict:
    settings, plan = current_app().settings, training.plan
    patience = Patience(settings.placement_seconds, settings.first_learner_seconds, _lead(training))
    return judge(pods, plan.gpus, plan.memory, patience, time.time())


def _lead(training: Training) -> int:
    return first_that_ends(training.spec.command, training.spec.env, training.plan.learners)


def _last_of(verdict: Verdict, plan: Plan) -> Outcome:
    """Return how pods ended that run no more, or that there are none."""
    lost = verdict.outcome or diagnose(None, plan.gpus, plan.memory)
    if lost is None:
        raise AssertionError("a pod that is gone has ended")
    return lost


def _is_taken(pods: Sequence[dict[str, Any] | None], verdict: Verdict) -> bool:
    """Say whether the infrastructure has taken pods that were there: gone, going, or ended by no program."""
    if verdict.outcome:
        return verdict.outcome.retried
    return any(pod is None or "deletionTimestamp" in pod["metadata"] for pod in pods)


def _loss(verdict: Verdict, plan: Plan, attempts: Attempts) -> Outcome:
    """Say how the last attempt ended, and which it was."""
    lost = _last_of(verdict, plan)
    return replace(lost, message=f"{lost.message}; this was attempt {attempts.last}")


def _retries(spec: TrainingSpec) -> int:
    """Return how often a pod that the infrastructure took is replaced."""
    return current_app().settings.pod_retries if spec.retries is None else spec.retries
