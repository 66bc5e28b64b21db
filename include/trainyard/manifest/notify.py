"""Read whom a manifest notifies: names of addresses that are kept, and addresses of its own."""

from __future__ import annotations

from trainyard.domain.notification import (
    ACCOUNT_EVENTS,
    EVENTS,
    MAX_RECIPIENTS,
    MIN_SECRET,
    NAME,
    Address,
    Recipient,
    is_address,
    read_address,
)
from trainyard.manifest.document import Path
from trainyard.manifest.masking import MASK
from trainyard.manifest.values import Values

NOTIFY: Path = ("notify",)
_SHORT_SECRET = (f"the secret has under {MIN_SECRET} characters.", "Write a longer one, or leave it out.")


def read_notify(values: Values) -> tuple[tuple[Recipient, ...], tuple[Address | None, ...]]:
    """Return the recipients, and for each its address with its secret, None for those that name one that is kept.

    What is wrong becomes faults, none of which shows an address.
    """
    found = [one for path in _paths(values) if (one := _recipient(values, path))]
    return tuple(recipient for recipient, _ in found), tuple(address for _, address in found)


def _paths(values: Values) -> list[Path]:
    given = values.document.value(NOTIFY)
    if not isinstance(given, list):
        return [NOTIFY] if given is not None else []
    if len(given) > MAX_RECIPIENTS:
        values.faults.add(NOTIFY, f"there are more than {MAX_RECIPIENTS} entries.", "Leave some out.", at_key=True)
        return []
    return [(*NOTIFY, number) for number in range(len(given))]


def _recipient(values: Values, path: Path) -> tuple[Recipient, Address | None] | None:
    is_map = isinstance(values.document.value(path), dict)
    at = (*path, "to") if is_map else path
    text = values.text(at)
    if text is None:
        return None
    events = _events(values, (*path, "on")) if is_map else ()
    if not is_address(text):
        return _named(values, at, text, events)
    if MASK in text:
        return _of_earlier(values, at, text, events)
    url = read_address(text, values.addresses, sends_mail=values.notifying.sends_mail)
    if isinstance(url, tuple):
        values.faults.add(at, *url)
        return None
    secret = (values.text((*path, "secret")) if is_map else None) or ""
    if secret and len(secret) < MIN_SECRET:
        values.faults.add((*path, "secret"), *_SHORT_SECRET)
    address = Address(url, secret)
    return Recipient(shown=address.shown, events=events), address


def _of_earlier(
    values: Values, at: Path, shown: str, events: tuple[str, ...]
) -> tuple[Recipient, Address | None] | None:
    """Return the address that an earlier manifest shows so; it would be sent to nobody as it stands."""
    address = values.earlier.address(shown)
    if address is None:
        values.faults.add(at, "the address is masked.", "Write it again, or leave the entry out.")
        return None
    secret = values.text((*at[:-1], "secret")) if at[-1] == "to" else None
    own = address if secret in (None, MASK) else Address(address.url, secret)
    return Recipient(shown=own.shown, events=events), own


def _named(values: Values, at: Path, name: str, events: tuple[str, ...]) -> tuple[Recipient, None] | None:
    if not NAME.fullmatch(name):
        values.faults.add(at, "this is neither an address nor the name of one.", "Write https://…, or a name.")
        return None
    known = values.notifying.names
    if known is not None and name not in known:
        hint = "`trainyard notify list` shows those that are kept, `trainyard notify set` keeps one."
        values.faults.add(at, "no address of this name is kept for you or the account.", hint)
        return None
    return Recipient(name=name, events=events), None


def _events(values: Values, path: Path) -> tuple[str, ...]:
    given = values.document.value(path)
    found = given if isinstance(given, list) else [given] if given is not None else []
    return tuple(str(each) for each in found if each in EVENTS and each not in ACCOUNT_EVENTS)
