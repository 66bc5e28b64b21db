"""The composition root: `App(settings)` builds every part of the service; nothing else builds one from a setting."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from trainyard.cluster.podclient import TrainingPods
from trainyard.cluster.podwaits import PodWaits
from trainyard.cluster.run import WorkspaceVolume
from trainyard.core.accounts import SERVICE
from trainyard.core.audit.accountchanges import record_changes
from trainyard.core.audit.event import Action
from trainyard.core.audit.files import STDOUT, AuditFiles, append_to_stdout
from trainyard.core.audit.reading import Trail
from trainyard.core.audit.recording import Audit, Writer
from trainyard.core.catalogue import Catalogue, Training
from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.limits import Account, Limits
from trainyard.domain.names import RunKey, data_connection, results_connection
from trainyard.domain.states import State
from trainyard.domain.watchdogs import NO_WATCH, Watch
from trainyard.errors import TrainyardError
from trainyard.settings import Settings, limits_files, read_settings
from trainyard.workspace.layout import RunFolder, Workspace

# What a step of a training needs is built at once; the rest, with Airflow's tables, where it is asked for.
if TYPE_CHECKING:
    from trainyard.airflow.connections import ConnectionVault
    from trainyard.airflow.endedruns import EndedRuns
    from trainyard.airflow.history import AirflowHistory
    from trainyard.airflow.leftovers import AirflowLeftovers
    from trainyard.airflow.runlines import RunLines
    from trainyard.airflow.secretconnections import ConnectionSecrets
    from trainyard.core.datasets import Datasets
    from trainyard.core.documents.documents import Documents
    from trainyard.core.documents.experimentruns import ExperimentRuns
    from trainyard.core.livemetrics import LiveMetrics
    from trainyard.core.maintenance.owners import Owners
    from trainyard.core.maintenance.retention import Housekeeper
    from trainyard.core.notifications import Notifications
    from trainyard.core.notifier import Notifier
    from trainyard.core.ownstores import OwnStores
    from trainyard.core.quota import Quotas
    from trainyard.core.rerunning import Rerunning
    from trainyard.core.retraining import Retraining
    from trainyard.core.searching import Searching
    from trainyard.core.secrets import Secrets
    from trainyard.core.service import Service
    from trainyard.core.starting import Starting
    from trainyard.notify.outbox import Outbox
    from trainyard.stores.base import Store
    from trainyard.workspace.datasets import DatasetCache

T = TypeVar("T")
# In the api-server, where somebody waits.
_SERVED_PATIENCE_SECONDS = 5.0
_MAX_GOING = 100_000


@dataclass(frozen=True)
class App:
    """The parts of one installation, each of which is made when it is first used."""

    settings: Settings

    @cached_property
    def catalogue(self) -> Catalogue:
        return Catalogue(self.settings.catalogue)

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(self.settings.workspace)

    @cached_property
    def volume(self) -> WorkspaceVolume:
        """What pods mount as workspace."""
        return WorkspaceVolume.of(self.settings.workspace_volume, str(self.workspace.root.absolute()))

    def limits(self) -> Limits:
        """Read frameworks, sizes and quotas; files that did not change since are not read again."""
        return _limits(*((path, path.stat().st_mtime_ns) for path in limits_files(self.settings)))

    @property
    def audit_folder(self) -> Path | None:
        """The folder of the audit log, None where it goes to standard output.

        By default it lies in the catalogue's: that is the one folder that all processes which record have in common.
        """
        if self.settings.audit_log == STDOUT:
            return None
        return Path(self.settings.audit_log) if self.settings.audit_log else self.settings.catalogue / ".audit"

    @cached_property
    def audit_writer(self) -> Writer:
        """What writes the audit log and counts the events that it could not write."""
        folder, settings = self.audit_folder, self.settings
        if folder is None:
            return Writer(append_to_stdout)
        return Writer(AuditFiles(folder, settings.audit_days, settings.audit_max_bytes).append)

    @cached_property
    def audit(self) -> Audit:
        return Audit(self.audit_writer.write)

    @cached_property
    def trail(self) -> Trail:
        """What reads the audit log."""
        return Trail(self.audit_folder, self.audit)

    @cached_property
    def outbox(self) -> Outbox:
        """The notifications that are to be delivered; it lies where no program reaches it."""
        from trainyard.notify.outbox import Outbox

        return Outbox(self.settings.catalogue / "outbox")

    @cached_property
    def notifier(self) -> Notifier:
        """What writes notifications to the outbox; it asks no database."""
        from trainyard.airflow.links import run_page
        from trainyard.core.addressbook import AddressBook
        from trainyard.core.notifier import Notifier

        return Notifier(self.outbox, AddressBook.beside(self.catalogue), self._notified_names, run_page)

    @cached_property
    def notifications(self) -> Notifications:
        """The use cases about notifications, over Airflow's connections."""
        from trainyard.core.addressbook import AddressBook
        from trainyard.core.notifications import Notifications
        from trainyard.domain.addresses import AddressPolicy

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

    def watch_of(self, account: str) -> Watch:
        """Return the watchdogs of an account's runs whose manifests have none."""
        found = self._account_with(b"watch", account)
        return found.watch if found else NO_WATCH

    def _notified_names(self, account: str) -> tuple[str, ...]:
        found = self._account_with(b"notify", account)
        return found.notify if found else ()

    def _account_with(self, key: bytes, account: str) -> Account | None:
        # Most installations have none of it, and to read the three files costs a process 0.13 s.
        if key not in limits_files(self.settings)[2].read_bytes():
            return None
        return self.limits().accounts.get(account)

    def data_store(self, training: Training) -> Store:
        """Open a training's data inside a task, with its own credentials or the connection that it names."""
        from trainyard.airflow.connections import open_kept
        from trainyard.stores.below import Below

        store = open_kept(training.spec.data, data_connection(training.id), self.settings)
        return Below(store, training.spec.data.prefix) if training.spec.data.prefix else store

    def results_store(self, training: Training) -> Store:
        """Open a training's results bucket inside a task, with its own credentials or the connection that it names."""
        from trainyard.airflow.connections import open_kept

        return open_kept(training.spec.results, results_connection(training.id), self.settings)

    def served_results_store(self, training: Training) -> Store:
        """Open a training's results bucket inside the api-server, where somebody waits for what it answers.

        Raise TrainyardError C104 where its account may not use the named connection any more.
        """
        from trainyard.airflow.connections import open_served

        self.check_connections(training)
        seconds = self.settings.store_answer_seconds
        hasty = replace(self.settings, store_call_seconds=seconds, store_listing_seconds=seconds)
        return open_served(training.spec.results, results_connection(training.id), hasty)

    def check_connections(self, training: Training) -> None:
        """Raise TrainyardError C104 where a training names a connection that its account may not use any more."""
        from trainyard.domain.plan import connection_problems

        if not (training.spec.data.connection or training.spec.results.connection):
            return
        account = self.limits().accounts.get(training.account)
        allowed = account or Account(training.account, 0, (), 0)
        if problems := connection_problems(training.spec, allowed, training.owner):
            raise TrainyardError.refused(problems)

    def pods(self, patience_seconds: float = 60) -> TrainingPods:
        """Reach the training pods; a call that finds no answer is tried again for so long."""
        return TrainingPods(self.core_client, self.settings.namespace, patience_seconds)

    @cached_property
    def core_client(self) -> Any:
        """The client of the Kubernetes core API, by the service's own connection of the cluster."""
        from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

        return KubernetesHook(conn_id=self.settings.kubernetes_connection).core_v1_client

    def sync_pools(self, limits: Limits) -> None:
        """Make Airflow's pools as large as the quotas say, and record those that changed."""
        from trainyard.airflow.pools import sync_pools

        for resized in sync_pools(limits, self.settings):
            self.audit.record(SERVICE, Action.RESIZE_POOL, details=asdict(resized))

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

    def open_own_store(self, connection: str, bucket: str) -> Store:
        """Open a bucket of a store that somebody keeps, inside the api-server, where somebody waits for the answer."""
        from trainyard.airflow.connections import open_served
        from trainyard.domain.training import StoreRef

        seconds = self.settings.store_answer_seconds
        hasty = replace(self.settings, store_call_seconds=seconds, store_listing_seconds=seconds)
        return open_served(StoreRef("s3", bucket, "", connection=connection), "", hasty)

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
    def quotas(self) -> Quotas:
        """The use case about what the accounts own and use."""
        from trainyard.airflow.usage import AirflowUsage
        from trainyard.core.quota import Quotas

        usage = AirflowUsage(self.catalogue, self._started, time.time, *self._run_lines)
        return Quotas(self.limits, usage.shares, self.sync_pools, time.time)

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


@lru_cache(maxsize=4)
def _limits(*files: tuple[Path, int]) -> Limits:
    from trainyard.manifest.limits import load_limits

    return load_limits(*(path for path, _ in files))


def follow_quotas(
    limits: Callable[[], Limits],
    sync_pools: Callable[[Limits], None],
    changed: Callable[[Limits, Limits], None] = lambda _, __: None,
) -> Callable[[], Limits]:
    """Return `limits` such that the pools follow the files: at the first look, and whenever these have changed.

    `changed` hears of each change: what was there before, and what is now.
    """
    seen: Limits | None = None

    def look() -> Limits:
        nonlocal seen
        found = limits()
        if found is not seen:
            sync_pools(found)
            before, seen = seen, found
            if before is not None:
                changed(before, found)
        return found

    return look
