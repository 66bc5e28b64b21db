"""Notifications: the addresses that are kept, and what did not arrive. No answer has an address as it is."""

from __future__ import annotations

from pydantic import Field

from trainyard.answers.base import Moment, Whole


class AddressAnswer(Whole):
    """An address that is kept, as it may be shown; `account` is empty for one of the caller's own."""

    name: str
    address: str
    account: str = ""
    on: list[str] = Field(default_factory=list)
    every_run: bool = False


class AddressKept(AddressAnswer):
    """The same when it has just been kept; `secret` is that of a webhook, shown this once where it was made for it."""

    secret: str = ""


class DeliveryAnswer(Whole):
    """A notification that did not arrive: why, and when it is tried again; none where it was given up."""

    id: str
    event: str
    model_id: str = ""
    to: str = ""
    account: str = ""
    made_at: Moment | None = None
    tries: int = 0
    failure: str = ""
    next_at: Moment | None = None
    dead: bool = False


class NotifyAnswer(Whole):
    """The caller's addresses and those of the caller's accounts, and the notifications that did not arrive."""

    addresses: list[AddressAnswer]
    undelivered: list[DeliveryAnswer]


class DeliveryState(Whole):
    """What became of a notification: `waiting`, `failing`, `dead` or `arrived`."""

    id: str
    state: str
    failure: str = ""


class NotificationCount(Whole):
    """How many notifications were made, or made due again."""

    notifications: int
