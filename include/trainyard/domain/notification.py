"""Who is notified of what: events, addresses as people write them, and how an address shows without its secret."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from trainyard.domain.addresses import ANYWHERE, AddressPolicy, split_url


class Event(StrEnum):
    """What people are notified of; `ended` is every end of a run, `failed` those that are no success and no cancel."""

    STARTED = "started"
    ENDED = "ended"
    FAILED = "failed"
    WAITING = "waiting"
    WARNING = "warning"
    SKIPPED = "skipped"
    BUDGET = "budget"
    TEST = "test"


EVENTS = tuple(event for event in Event if event is not Event.TEST)
# Of an account, and of no run: no manifest asks for them.
ACCOUNT_EVENTS = (Event.BUDGET,)
DEFAULT_EVENTS = (Event.ENDED, Event.WAITING, Event.WARNING, Event.SKIPPED, Event.BUDGET)
MAX_RECIPIENTS = 20
MIN_SECRET = 16
_MAX_LENGTH = 2000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MASK = "****"
_MAIL = re.compile(r"mailto:(?!//)", re.IGNORECASE)
_MAIL_ADDRESS = re.compile(r"[^@\s<>,;:?&/]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
# What Apprise delivers to. Others of its hundred read files, run commands or reach this machine's desktop.
_SERVICES = ("slack", "discord", "tgram", "gchat", "pover")
_MAIL_SERVERS = ("mailto", "mailtos")
_MAIL_KEYS = frozenset(("to", "from", "name", "cc", "bcc", "smtp", "mode", "user", "pass"))
_KINDS = ", ".join(("https://…", "mailto:…", *(f"{scheme}://…" for scheme in _SERVICES)))
_HINT = "Use a public address; whoever runs the service can allow others with TRAINYARD_STORE_INTERNAL."
_NO_ADDRESS = ("this is no address that notifications can be sent to.", f"Write {_KINDS}, or a name that is kept.")


@dataclass(frozen=True)
class Recipient:
    """One entry of a manifest's `notify`: the name of an address that is kept, or one of its own as it may be shown.

    Without `events` those are meant that the kept address has, else the usual ones.
    """

    name: str = ""
    shown: str = ""
    events: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipient:
        """Read it back; keys this version does not know are dropped."""
        return cls(data.get("name", ""), data.get("shown", ""), tuple(data.get("events", ())))

    def __str__(self) -> str:
        return self.name or self.shown


@dataclass(frozen=True)
class Address:
    """Where notifications go, with its secrets; none of them shows in a repr."""

    url: str = field(repr=False)
    secret: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        return shown_address(self.url)

    @property
    def is_webhook(self) -> bool:
        return self.url.lower().startswith(("https://", "http://"))

    @property
    def is_plain_mail(self) -> bool:
        """Say whether it is a mail address alone, which the service's own mail server delivers to."""
        return _MAIL.match(self.url) is not None

    @property
    def key(self) -> str:
        """What a webhook is signed with: its secret, else the address itself, which its receiver knows too."""
        return self.secret or self.url


@dataclass(frozen=True)
class Notifying:
    """Whom a manifest may notify: the `names` of addresses that are kept, None where only the service knows them.

    `sends_mail` says whether the service has a mail server of its own.
    """

    names: Collection[str] | None = None
    sends_mail: bool = True


ANYBODY = Notifying()


def is_address(text: str) -> bool:
    """Say whether an entry is meant as an address; all others are names."""
    return ":" in text or "/" in text or "@" in text


def read_address(text: str, addresses: AddressPolicy = ANYWHERE, *, sends_mail: bool = True) -> str | tuple[str, str]:
    """Return an address as it is kept, or message and hint of its refusal, neither with anything of the address.

    `sends_mail` says whether the service has a mail server of its own. Of the policy is checked what shows without a
    resolver.
    """
    url = text.strip()
    if not url.isprintable() or " " in url or len(url) > _MAX_LENGTH or not is_address(url):
        return _NO_ADDRESS
    if _MAIL.match(url):
        return _plain_mail(url, sends_mail)
    parts = split_url(url)
    if parts is None or not parts.netloc:
        return _NO_ADDRESS
    if parts.scheme in ("https", "http"):
        return _webhook(url, addresses)
    query = {key.lower(): value for key, value in parse_qsl(parts.query, keep_blank_values=True)}
    if parts.scheme in _MAIL_SERVERS:
        return _mail_server(url, query, addresses)
    if parts.scheme not in _SERVICES:
        return _NO_ADDRESS
    # Some of Apprise's options name files of the machine that it runs on.
    return url if not query else ("the address has options after ?.", "Write it without them.")


def _plain_mail(url: str, sends_mail: bool) -> str | tuple[str, str]:
    if not _MAIL_ADDRESS.fullmatch(url[len("mailto:") :]):
        return "this is no mail address.", "Write mailto:NAME@HOST."
    if not sends_mail:
        hint = "Write mailtos://USER:PASSWORD@HOST?to=NAME@HOST, or ask whoever runs the service for a mail server."
        return "the service has no mail server of its own.", hint
    return url


def _webhook(url: str, addresses: AddressPolicy) -> str | tuple[str, str]:
    parts = urlsplit(url)
    if not parts.hostname:
        return _NO_ADDRESS
    if parts.username or parts.password:
        return "the address holds a user name or password.", "Write it without; the signature says who sends."
    if parts.scheme == "http" and not addresses.is_trusted(url):
        return "notifications are not sent to http:// addresses.", "Write https://."
    if reason := addresses.refusal_of_url(url):
        return f"no notification may go to this address: {reason}.", _HINT
    return url


def _mail_server(url: str, query: Mapping[str, str], addresses: AddressPolicy) -> str | tuple[str, str]:
    parts = urlsplit(url)
    if unknown := query.keys() - _MAIL_KEYS:
        return f"the address has {len(unknown)} options that are not taken.", f"Known are {', '.join(_MAIL_KEYS)}."
    for host in (parts.hostname or "", query.get("smtp", "")):
        if host and (reason := addresses.refusal_of_host(host, parts.port or 587)):
            return f"no notification may go to this address: {reason}.", _HINT
    return url if parts.hostname else _NO_ADDRESS


def shown_address(text: str) -> str:
    """Return an address as people may see it: of a webhook the host, of all others only the kind; a name as it is."""
    if not is_address(text):
        return text if NAME.fullmatch(text) else _MASK
    scheme, colon, _ = text.partition(":")
    scheme = scheme.lower()
    if scheme in ("https", "http") and (parts := split_url(text)) and parts.hostname:
        return f"{scheme}://{parts.hostname}/{_MASK}"
    known = colon and scheme in (*_SERVICES, *_MAIL_SERVERS)
    return _MASK if not known else f"{scheme}:{_MASK}" if _MAIL.match(text) else f"{scheme}://{_MASK}"


def wants(events: tuple[str, ...], event: Event) -> bool:
    """Say whether somebody who wants these events, the usual ones where there are none, is notified of one."""
    return event in (events or DEFAULT_EVENTS)
