"""What the REST interface keeps for people under a name: secrets, stores, and addresses for notifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from trainyard.answers.notify import AddressKept, DeliveryState, NotificationCount, NotifyAnswer
from trainyard.answers.service import SecretAnswer, SecretList, StoreAnswer, StoreList, StoreTest
from trainyard.client.calls import Calls, of_account, place_of
from trainyard.client.errors import WrongUsageError


class KeptCalls(Calls):
    """The calls about secrets, stores and addresses."""

    def secrets(self) -> list[SecretAnswer]:
        """Return the secrets that are kept for the caller and their accounts, without their values."""
        return self._session.ask(SecretList, "GET", "/v3/secrets").resources

    def keep_secret(self, name: str, value: str, account: str | None = None) -> SecretAnswer:
        return self._session.ask(SecretAnswer, "PUT", _secret(name), json={"value": value}, params=of_account(account))

    def forget_secret(self, name: str, account: str | None = None) -> None:
        self._remove(_secret(name), params=of_account(account))

    def stores(self) -> list[StoreAnswer]:
        """Return the stores that are kept for the caller and their accounts, without their keys."""
        return self._session.ask(StoreList, "GET", "/v3/stores").resources

    def keep_store(
        self, name: str, endpoint: str, key_id: str, secret: str, region: str = "", account: str | None = None
    ) -> StoreAnswer:
        given = {"endpoint_url": endpoint, "access_key_id": key_id, "secret_access_key": secret, "region": region}
        return self._session.ask(StoreAnswer, "PUT", _store(name), json=given, params=of_account(account))

    def test_store(self, name: str, bucket: str, account: str | None = None) -> StoreTest:
        place = f"{_store(name)}/buckets/{quote(bucket, safe='')}"
        return self._session.ask(StoreTest, "GET", place, params=of_account(account))

    def forget_store(self, name: str, account: str | None = None) -> None:
        self._remove(_store(name), params=of_account(account))

    def addresses(self) -> NotifyAnswer:
        """Return the addresses that are kept for the caller, and what did not arrive."""
        return self._session.ask(NotifyAnswer, "GET", "/v3/notify")

    def keep_address(self, name: str, given: Mapping[str, Any]) -> AddressKept:
        """Keep an address under a name; what was there is replaced."""
        return self._session.ask(AddressKept, "PUT", place_of(name, "notify"), json=dict(given))

    def remove_address(self, name: str, account: str | None = None) -> None:
        self._remove(place_of(name, "notify"), params=of_account(account))

    def test_address(self, name: str, account: str | None = None) -> DeliveryState:
        """Send a test to an address."""
        params = {"account": account} if account else {}
        return self._session.ask(DeliveryState, "POST", f"{place_of(name, 'notify')}/test", params=params)

    def delivery(self, number: str) -> DeliveryState:
        """Return what became of a notification."""
        return self._session.ask(DeliveryState, "GET", f"/v3/notify/deliveries/{quote(number, safe='')}")

    def retry_notifications(self) -> int:
        """Let all that was given up be tried again; return how many that are."""
        return self._session.ask(NotificationCount, "POST", "/v3/notify/retry").notifications

    def notify_waiting(self) -> int:
        """Notify people of the runs that wait for too long; return how many notifications that made."""
        return self._session.ask(NotificationCount, "POST", "/v3/notify/waiting").notifications


def _store(name: str) -> str:
    if not name.strip("./ "):
        raise WrongUsageError("this cannot be the name of a store", "Use lower-case letters, digits and dashes.")
    return f"/v3/stores/{quote(name, safe='')}"


def _secret(name: str) -> str:
    if not name.strip("./ "):
        raise WrongUsageError("this cannot be the name of a secret", "Name it as WANDB_API_KEY is named.")
    return f"/v3/secrets/{quote(name, safe='')}"
