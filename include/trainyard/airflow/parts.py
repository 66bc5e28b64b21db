"""What steps and triggers need of an installation, made from its settings; it asks none of Airflow's tables."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainyard.cluster.podclient import TrainingPods
from trainyard.cluster.run import WorkspaceVolume
from trainyard.core.accounts import SERVICE
from trainyard.core.audit.event import Action
from trainyard.core.audit.files import STDOUT, AuditFiles, append_to_stdout
from trainyard.core.audit.reading import Trail
from trainyard.core.audit.recording import Audit, Writer
from trainyard.core.catalogue import Catalogue, Training
from trainyard.domain.limits import Account, Limits
from trainyard.domain.names import data_connection, results_connection
from trainyard.domain.watchdogs import NO_WATCH, Watch
from trainyard.errors import TrainyardError
from trainyard.settings import Settings, limits_files
from trainyard.workspace.layout import Workspace

if TYPE_CHECKING:
    from trainyard.core.notifier import Notifier
    from trainyard.notify.outbox import Outbox
    from trainyard.stores.base import Store


@dataclass(frozen=True)
class Parts:
    """Parts of one installation, each of which is made when it is first used."""

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

    def watch_over(self, training: Training) -> Watch:
        """Return the watchdogs of a training's runs: its manifest's, or its account's where that has none."""
        if training.spec.watch.on:
            return training.spec.watch
        found = self._account_with(b"watch", training.account)
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
        return open_served(training.spec.results, results_connection(training.id), self._hasty)

    def open_own_store(self, connection: str, bucket: str) -> Store:
        """Open a bucket of a store that somebody keeps, inside the api-server, where somebody waits for the answer."""
        from trainyard.airflow.connections import open_served
        from trainyard.domain.training import StoreRef

        return open_served(StoreRef("s3", bucket, "", connection=connection), "", self._hasty)

    @property
    def _hasty(self) -> Settings:
        """The settings of a process where somebody waits for what a store answers."""
        seconds = self.settings.store_answer_seconds
        return replace(self.settings, store_call_seconds=seconds, store_listing_seconds=seconds)

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


@lru_cache(maxsize=4)
def _limits(*files: tuple[Path, int]) -> Limits:
    from trainyard.manifest.limits import load_limits

    return load_limits(*(path for path, _ in files))
