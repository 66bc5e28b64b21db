"""The Python API: a service, and the runs that it trains."""

from __future__ import annotations

import os
import secrets
import time
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from trainyard.answers.notify import AddressAnswer, AddressKept, DeliveryAnswer
from trainyard.answers.runs import Submitted
from trainyard.answers.service import SecretAnswer, StoreAnswer
from trainyard.client.access import Access, find_access, warnings_of
from trainyard.client.data import Data
from trainyard.client.errors import UnreachableError, WrongUsageError
from trainyard.client.experiment import Experiment
from trainyard.client.manifests import Manifest, Program, manifest_paths, manifest_text, with_search
from trainyard.client.naming import model_id_of
from trainyard.client.packing import packed
from trainyard.client.rest import RestClient
from trainyard.client.run import Run, Runs
from trainyard.client.stored import StoredDocuments
from trainyard.client.waiting import pauses
from trainyard.domain.hyperparameters import as_text

_ATTEMPTS = 4


class Client:
    """A service, and whoever is signed in to it.

    Without arguments it is the service that the command line would talk to: TRAINYARD_URL and TRAINYARD_TOKEN (or
    TRAINYARD_USERNAME and TRAINYARD_PASSWORD), the stack that `trainyard up` has started in this folder or above it,
    or what `trainyard login` has kept. Give `url` for another one, and `token`, or `user` and `password`, for somebody
    else. `with` closes its connections; `transport` is httpx's, in the network's place.

    Raise WrongUsageError where no service is known. Every method raises TrainyardError for what the service refuses,
    with its code, message, hint and problems, and its subclass UnreachableError if the service does not answer.
    """

    def __init__(
        self,
        url: str | None = None,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        access = _access(url, user, password, token)
        for text in warnings_of(access.url):
            warnings.warn(text, stacklevel=2)
        self._service = RestClient(access, transport=transport)
        self.url = self._service.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; every thread's are closed."""
        self._service.close()

    def __repr__(self) -> str:
        return f"<Client {self.url}>"

    def train(
        self,
        program: Program,
        manifest: Manifest,
        *,
        account: str | None = None,
        experiment: str | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the command line's --set
        key: str | None = None,
    ) -> Run:
        """Submit a training of one run and return it.

        `program` is a folder, which is zipped but for what its .trainyardignore names, or a zip; `manifest` is a file,
        YAML or JSON, or a dictionary; `set` gives hyperparameters of the manifest other values. A submission whose
        answer is lost is sent again under the same idempotency key, `key` where one is given, and registers nothing
        twice.

        Raise TrainyardError with all problems of the submission, and WrongUsageError for files that are not there or
        for more than one value of a hyperparameter.
        """
        several = [name for name, value in (set or {}).items() if len(_values(value)) != 1]
        if several:
            raise WrongUsageError(f"{several[0]} has several values, which make several runs", "Use train_all.")
        (run,) = self.train_all(program, manifest, account=account, experiment=experiment, set=set, key=key)
        return run

    def train_all(
        self,
        program: Program,
        manifest: Manifest,
        *,
        account: str | None = None,
        experiment: str | None = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the command line's --set
        key: str | None = None,
    ) -> Runs:
        """Submit a training as `train` does, with a run for each combination of the values in `set`, all or none."""
        fields: dict[str, Any] = {
            "account": account,
            "experiment": experiment,
            "set": [f"{name}={_texts(value)}" for name, value in (set or {}).items()],
        }
        given = {name: value for name, value in fields.items() if value}
        text, own_key = manifest_text(manifest), key or f"python-{secrets.token_hex(16)}"
        with packed(program, manifest_paths(manifest)) as found:
            answer = self._submit(text, found.zip, {**given, **found.fields}, own_key)
        return Runs(Run(self._service, model_id, warnings=answer.warnings) for model_id in answer.all_ids)

    def search(
        self,
        program: Program,
        manifest: Manifest,
        search: Mapping[str, Any] | None = None,
        *,
        account: str | None = None,
        experiment: str | None = None,
        key: str | None = None,
    ) -> Experiment:
        """Submit a search and return it: a training with a run for each trial.

        `search` is what the manifest would say under that key: `{"metric": "val/acc", "goal":
        "maximize", "trials": 40, "space": {"lr": {"low": 1e-4, "high": 0.1, "log": True}}}`. Raise TrainyardError with
        all problems of the submission, and WrongUsageError for a manifest that says nothing of a search.
        """
        name, text = manifest_text(manifest)
        if search is not None:
            text = with_search(text, search)
        given = {key: value for key, value in (("account", account), ("experiment", experiment)) if value}
        with packed(program, manifest_paths(manifest)) as found:
            named = key or f"python-{secrets.token_hex(16)}"
            answer = self._submit((name, text), found.zip, {**given, **found.fields}, named)
        return Experiment(self._service, answer.model_id, answer.warnings)

    def experiment(self, name: str) -> Experiment:
        """Return a search by its experiment, or by the model id of any of its runs; raise C107 if there is none."""
        return Experiment(self._service, self._service.search(name).training_id)

    @property
    def documents(self) -> StoredDocuments:
        """The stored training definitions and experiments of the form of 2018, and the runs of these."""
        return StoredDocuments(self._service)

    def validate(self, program: Program, manifest: Manifest, *, account: str | None = None) -> list[str]:
        """Check a submission on this machine, without the service, and return its warnings.

        Raise TrainyardError with all problems of the submission, and WrongUsageError for files that are not there.
        """
        from trainyard.client.checking import check

        with packed(program, manifest_paths(manifest)) as found:
            return list(check(manifest_text(manifest)[1], found.zip, account).warnings)

    def run(self, run_id: str) -> Run:
        """Return a run by its model id, a part of it, a name, `@last` or `EXPERIMENT@best`.

        Raise C107 if there is none that you may see, and WrongUsageError if it may be one of several.
        """
        found = self._service.run(model_id_of(self._service, run_id))
        return Run(self._service, found.model_id, found)

    def runs(
        self,
        *,
        state: str | Sequence[str] | None = None,
        name: str | None = None,
        experiment: str | None = None,
        framework: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        deleted: bool = False,
    ) -> Runs:
        """Return the runs that you may see, the oldest first; with `limit` only the newest so many.

        `name` is a part of a run's name, `framework` `tensorflow` or `tensorflow 1.2-py3`; `since` is when
        they were submitted, in local time unless it has a time zone. With `deleted` those alone that are deleted and
        can be brought back.
        """
        wanted = {
            "state": [state] if isinstance(state, str) else list(state or ()),
            "name": name,
            "experiment": experiment,
            "framework": framework,
            "since": since.astimezone().isoformat() if since else None,
            "deleted": "true" if deleted else None,
        }
        found = self._service.runs({key: value for key, value in wanted.items() if value}, limit)
        return Runs(Run(self._service, run.model_id, run) for run in found)

    def undelete(self, run_id: str) -> Run:
        """Bring a deleted run back, by its model id, a part of it or a name; raise C107 where its time is over."""
        found = self._service.undelete(model_id_of(self._service, run_id, deleted=True))
        return Run(self._service, found.model_id, found)

    @property
    def data(self) -> Data:
        """Data in your stores: `data.put("./digits", "BUCKET/PREFIX")`, `data.list(…)`, `data.remove(…)`."""
        return Data(self._service)

    def set_secret(self, name: str, value: str, *, account: str | None = None) -> None:
        """Keep a secret for programs whose manifest names it below `secrets`: your own, or an account's."""
        self._service.keep_secret(name, value, account)

    def secrets(self) -> list[SecretAnswer]:
        """Return the secrets that are kept for you and your accounts: `name`, `account`, `changed_at`; no values."""
        return self._service.secrets()

    def delete_secret(self, name: str, *, account: str | None = None) -> None:
        """Forget a secret; raise C116 if there is none of this name."""
        self._service.forget_secret(name, account)

    def addresses(self) -> list[AddressAnswer]:
        """Return your addresses for notifications and those of your accounts, without their secrets."""
        return self._service.addresses().addresses

    def keep_address(
        self,
        name: str,
        address: str,
        *,
        on: Sequence[str] = (),
        every_run: bool = False,
        secret: str = "",
        account: str | None = None,
    ) -> AddressKept:
        """Keep an address for notifications under a name that manifests can use, in the place of one of that name.

        `on` are the events, with `every_run` all runs are. Without a `secret` a webhook gets one, in the answer.
        """
        given = {"address": address, "on": list(on), "every_run": every_run, "secret": secret, "account": account}
        return self._service.keep_address(name, given)

    def remove_address(self, name: str, *, account: str | None = None) -> None:
        """Forget an address; raise C107 if there is none of this name."""
        self._service.remove_address(name, account)

    def test_address(self, name: str, *, account: str | None = None) -> str:
        """Send a test to an address and return the id of the notification."""
        return self._service.test_address(name, account).id

    def undelivered(self) -> list[DeliveryAnswer]:
        """Return the notifications that did not arrive, those last that were given up."""
        return self._service.addresses().undelivered

    def add_store(
        self, name: str, endpoint: str, key_id: str, secret: str, *, region: str = "", account: str | None = None
    ) -> None:
        """Keep an S3 store, your own or an account's; manifests name it as `connection: {name: NAME}`."""
        self._service.keep_store(name, endpoint, key_id, secret, region, account)

    def stores(self) -> list[StoreAnswer]:
        """Return the stores that are kept for you and your accounts: `name`, `account`, `endpoint_url`; no keys."""
        return self._service.stores()

    def test_store(self, name: str, bucket: str, *, account: str | None = None) -> bool:
        """Let the service look into a bucket; return whether it has objects. Raise C103 if the keys do not open it."""
        return not self._service.test_store(name, bucket, account).empty

    def delete_store(self, name: str, *, account: str | None = None) -> None:
        """Forget a store; raise C107 if there is none of this name."""
        self._service.forget_store(name, account)

    def _submit(self, manifest: tuple[str, bytes], zip_path: Path, fields: dict[str, Any], key: str) -> Submitted:
        pause = pauses(1)
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._service.submit([manifest], zip_path, fields, key=key)
            except UnreachableError as error:
                if not error.sent:
                    raise
                time.sleep(next(pause))
        return self._service.submit([manifest], zip_path, fields, key=key)


def _access(url: str | None, user: str | None, password: str | None, token: str | None) -> Access:
    if bool(user) != bool(password) or (token and user):
        raise WrongUsageError("half of a sign-in is given, or two", "Give token, or user and password.")
    found = find_access(url, os.environ, Path.cwd())
    if token:
        return Access(found.url, token)
    return Access(found.url, username=user, password=password) if user else found


def _values(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _texts(value: Any) -> str:
    """Write values as --set does: separated by commas, in double quotes."""
    return ",".join('"' + as_text(one).replace('"', '""') + '"' for one in _values(value))
