"""The composition root: `App(settings)` builds every part of the service; nothing else builds one from a setting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, TypeVar

from trainyard.airflow.parts import Parts
from trainyard.cluster.podwaits import PodWaits
from trainyard.core.audit.accountchanges import record_changes
from trainyard.core.quota import Quotas, follow_quotas
from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.names import RunKey
from trainyard.domain.states import State
from trainyard.settings import read_settings
from trainyard.workspace.layout import RunFolder

# Imported where they are asked for: tasks and triggers build an App too, and most need the parts alone.
if TYPE_CHECKING:
    from trainyard.airflow.connections import ConnectionVault
    from trainyard.airflow.endedruns import EndedRuns
    from trainyard.airflow.history import AirflowHistory
    from trainyard.airflow.leftovers import AirflowLeftovers
    from trainyard.airflow.podexec import PodSocket
    from trainyard.airflow.runlines import RunLines
    from trainyard.airflow.secretconnections import ConnectionSecrets
    from trainyard.airflow.usage import AirflowUsage
    from trainyard.core.budgets import Budgets
    from trainyard.core.datasets import Datasets
    from trainyard.core.documents.documents import Documents
    from trainyard.core.documents.experimentruns import ExperimentRuns
    from trainyard.core.executing import Executing
    from trainyard.core.livefiles import LiveFiles
    from trainyard.core.livemetrics import LiveMetrics
    from trainyard.core.maintenance.owners import Owners
    from trainyard.core.maintenance.retention import Housekeeper
    from trainyard.core.notifications import Notifications
    from trainyard.core.objects import StoreObjects
    from trainyard.core.ownstores import OwnStores
    from trainyard.core.rerunning import Rerunning
    from trainyard.core.retraining import Retraining
    from trainyard.core.runs import Run
    from trainyard.core.searching import Searching
    from trainyard.core.secrets import Secrets
    from trainyard.core.service import Service
    from trainyard.core.starting import Starting
    from trainyard.workspace.datasets import DatasetCache

T = TypeVar("T")
# In the api-server, where somebody waits.
_SERVED_PATIENCE_SECONDS = 5.0
_MAX_GOING = 100_000


@dataclass(frozen=True)
class App(Parts):
    """The use cases of one installation and all else that asks Airflow's tables, made when it is first used."""

    @cached_property
    def notifications(self) -> Notifications:
        """The use cases about notifications, over Airflow's connections."""
        from trainyard.core.addressbook import AddressBook
        from trainyard.core.notifications import Notifications

        return Notifications(
            book=AddressBook.beside(self.catalogue),
            vault=self._vault,
            outbox=self.outbox,
            limits=self.service.limits,
            addresses=AddressPolicy.of(self.settings),
            sends_mail=bool(self.settings.mail_connection),
            clock=time.time,
            audit=self.audit,
            notifier=self.notifier,
            trainings=self.catalogue.get,
            going=lambda: self._history.page(None, _MAX_GOING, 0, frozenset({State.PENDING, State.RUNNING}), None)[0],
            waiting_seconds=self.settings.notify_waiting_seconds,
        )

    @cached_property
    def service(self) -> Service:
        """The use cases about runs, over Airflow's database."""
        from trainyard.core.service import Service
        from trainyard.steps.cleanup import forget
        from trainyard.steps.stage import staged_version
        from trainyard.workspace.transfers import transfer_of
        from trainyard.workspace.watching import kept

        return Service(
            catalogue=self.catalogue,
            vault=self._vault,
            history=self._history,
            limits=follow_quotas(self.limits, self.sync_pools, partial(record_changes, self.audit)),
            settings=self.settings,
            clock=time.time,
            sync_pools=self.sync_pools,
            forget_files=lambda run: forget(run, self.workspace) if run.valid else None,
            results_of=self.served_results_store,
            pod_waits=PodWaits(lambda: self.core_client, self.settings.namespace),
            transfer_of=lambda run: self._of_folder(transfer_of, run),
            audit=self.audit,
            version_of=lambda run: self._of_folder(staged_version, run),
            alarms_of=lambda run: self._of_folder(kept, run),
            make_run=lambda start: self.starting.make(start),
            is_kept=lambda holder, name: self._secret_keeper.is_kept(holder, name),
            find_store=lambda user, account, name: self.stores.find(user, account, name),
        )

    @cached_property
    def documents(self) -> Documents:
        """The use cases about stored training definitions and experiments."""
        from trainyard.airflow.connections import ConnectionDocumentVault
        from trainyard.core.documents.documents import Documents
        from trainyard.core.documents.files import DocumentFiles

        service, files = self.service, DocumentFiles(self.settings.catalogue)
        return Documents(files, ConnectionDocumentVault(), service.limits, self.settings, service.clock, self.audit)

    @cached_property
    def experiment_runs(self) -> ExperimentRuns:
        """The use case about runs of stored experiments."""
        from trainyard.core.documents.experimentruns import ExperimentRuns

        return ExperimentRuns(self.documents, self.service, self.searching)

    @cached_property
    def stores(self) -> OwnStores:
        """The use case about the stores that people keep under a name."""
        from trainyard.airflow.storeconnections import ConnectionStores
        from trainyard.core.ownstores import OwnStores

        addresses = AddressPolicy.of(self.settings)
        return OwnStores(ConnectionStores(), self.limits, addresses, time.time, self.audit)

    @cached_property
    def objects(self) -> StoreObjects:
        """The use case about what is in these stores."""
        from trainyard.core.objects import StoreObjects

        return StoreObjects(self.stores, self.open_own_store)

    @cached_property
    def secrets(self) -> Secrets:
        """The use case about the secrets that people keep for their programs."""
        from trainyard.core.secrets import Secrets

        return Secrets(self._secret_keeper, self.limits, time.time, self.audit)

    @cached_property
    def live_metrics(self) -> LiveMetrics:
        """What reads the metrics of runs while they are going."""
        from trainyard.core.livemetrics import LiveMetrics

        return LiveMetrics(self.workspace, self.catalogue.get)

    @cached_property
    def live_files(self) -> LiveFiles:
        """The use case of the results of runs while they are going."""
        from trainyard.core.livefiles import LiveFiles

        return LiveFiles(self.service.run, self.workspace, self.audit)

    @cached_property
    def quotas(self) -> Quotas:
        """The use case about what the accounts own and use."""

        return Quotas(self.limits, self._usage.shares, self.sync_pools, time.time, self.budgets.used)

    @cached_property
    def budgets(self) -> Budgets:
        """The use case of the accounts' budgets."""
        from trainyard.core.budgets import Budgets
        from trainyard.domain.notification import Event

        def tell(account: str, reason: str, moment: str) -> int:
            return self.notifier.tell_account(account, Event.BUDGET, reason, moment)

        return Budgets(self.settings.catalogue / "budgets", self.limits, self._usage.shares, tell, time.time)

    @cached_property
    def _usage(self) -> AirflowUsage:
        from trainyard.airflow.usage import AirflowUsage

        return AirflowUsage(self.catalogue, self._started, time.time, *self._run_lines)

    @cached_property
    def datasets(self) -> Datasets:
        """The use case about the dataset cache."""
        from trainyard.core.datasets import Datasets

        return Datasets(self.catalogue, self.service.limits, self._dataset_cache.cached)

    @cached_property
    def housekeeper(self) -> Housekeeper:
        """The use case of retention."""
        from trainyard.core.maintenance.retention import Housekeeper
        from trainyard.steps.cleanup import forget_training

        forget_folder = partial(forget_training, workspace=self.workspace)
        evict = self._dataset_cache.evict
        parts = (self.service, self._leftovers, self._vault.ids, self.workspace, forget_folder, evict)
        return Housekeeper(*parts, self._sweep_documents)

    def _sweep_documents(self, before: float, dry_run: bool) -> list[str]:
        return [*self.documents.sweep(before, dry_run), *self.experiment_runs.sweep(before, dry_run)]

    @cached_property
    def owners(self) -> Owners:
        """The use case that says which runs still own what they made."""
        from trainyard.core.maintenance.owners import Owners

        return Owners(self._leftovers, self.catalogue.expected, self.audit)

    @cached_property
    def starting(self) -> Starting:
        """The use case that starts one more run of a training."""
        from trainyard.airflow.startedruns import AirflowStartedRuns
        from trainyard.core.starting import Starting

        return Starting(self.catalogue, AirflowStartedRuns(), self.service.limits, time.time, self.audit)

    @cached_property
    def searching(self) -> Searching:
        """The use case of searches."""
        from trainyard.airflow.trialruns import ServedTrialRuns
        from trainyard.core.searching import Searching

        runs = ServedTrialRuns(
            catalogue=self.catalogue,
            history=self._history,
            starting=self.starting,
            metrics=self.live_metrics,
            folder_of=lambda run: self.workspace.run(run) if run.valid else None,
            pods=partial(self.pods, _SERVED_PATIENCE_SECONDS),
            grace_seconds=self.settings.grace_seconds,
            results_of=self.served_results_store,
        )
        ended = self.notifier.search_ended
        return Searching(self.catalogue, runs, self.service.limits, time.time, self.audit, ended)

    @cached_property
    def rerunning(self) -> Rerunning:
        """The use case that runs a run again."""
        from trainyard.core.rerunning import Rerunning

        return Rerunning(self.service, self.starting)

    @cached_property
    def executing(self) -> Executing:
        """The use case of commands in running programs' containers."""
        from trainyard.core.executing import Executing

        return Executing(
            find_run=self.service.run,
            training_of=self.catalogue.get,
            pods_of=lambda run: self.pods(_SERVED_PATIENCE_SECONDS).newest_attempt(run),
            values_of=self._secret_values,
            audit=self.audit,
        )

    def run_in_pod(
        self, pod: str, command: Sequence[str], stdin: bool, tty: bool
    ) -> AbstractAsyncContextManager[PodSocket]:
        """Start a command in the container of a training pod, from the api-server."""
        from trainyard.airflow.podexec import run_in_pod

        return run_in_pod(self.settings.kubernetes_connection, self.settings.namespace, pod, command, stdin, tty)

    def _secret_values(self, run: Run) -> list[str]:
        """Return the values of the secrets that a run may have been given, for masking."""
        from trainyard.core.holders import holders_of

        training = self.catalogue.get(run.training_id)
        names = training.spec.secrets if training else ()
        holders = holders_of(run.owner, run.account)
        return [value for name in names for holder in holders if (value := self._secret_keeper.value(holder, name))]

    @cached_property
    def retraining(self) -> Retraining:
        """The use case of schedules."""
        from trainyard.airflow.scheduledruns import AirflowScheduledRuns
        from trainyard.core.retraining import Retraining
        from trainyard.steps.stage import staged_version

        return Retraining(
            catalogue=self.catalogue,
            schedules=self.service.schedules,
            runs=AirflowScheduledRuns(lambda run: self._of_folder(staged_version, run)),
            limits=self.service.limits,
            clock=time.time,
            late_seconds=self.settings.schedule_late_seconds,
            audit=self.audit,
            best_point=self.searching.best_point,
            skipped=self.notifier.skipped,
        )

    @cached_property
    def _vault(self) -> ConnectionVault:
        from trainyard.airflow.connections import ConnectionVault

        return ConnectionVault()

    @cached_property
    def _secret_keeper(self) -> ConnectionSecrets:
        from trainyard.airflow.secretconnections import ConnectionSecrets

        return ConnectionSecrets()

    @cached_property
    def _history(self) -> AirflowHistory:
        from trainyard.airflow.history import AirflowHistory
        from trainyard.workspace.layout import is_installing

        def installing(run: RunKey) -> bool:
            return bool(self._of_folder(is_installing, run))

        return AirflowHistory(self.catalogue, self._started, installing, *self._run_lines)

    @cached_property
    def _run_lines(self) -> tuple[RunLines, EndedRuns]:
        """What is remembered of the runs, for all who list or count them."""
        from trainyard.airflow.endedruns import EndedRuns
        from trainyard.airflow.runlines import RunLines

        return RunLines(), EndedRuns()

    @cached_property
    def _leftovers(self) -> AirflowLeftovers:
        from trainyard.airflow.leftovers import AirflowLeftovers

        return AirflowLeftovers()

    @cached_property
    def _dataset_cache(self) -> DatasetCache:
        from trainyard.workspace.datasets import DatasetCache

        return DatasetCache(self.workspace)

    def _started(self, run: RunKey) -> float | None:
        from trainyard.workspace.layout import started_at

        return self._of_folder(started_at, run)

    def _of_folder(self, look: Callable[[RunFolder], T], run: RunKey) -> T | None:
        """Look into a run's folder; an id that the service did not make has none."""
        return look(self.workspace.run(run)) if run.valid else None


@lru_cache(maxsize=1)
def current_app() -> App:
    """Return the parts of this process's installation, whose settings are read from the environment once."""
    return App(read_settings(os.environ))
