"""Which values of a manifest are credentials, and how text shows without them."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import yaml

from trainyard.domain.notification import shown_address
from trainyard.manifest.document import Document
from trainyard.manifest.nodes import BOOLEAN, FLOAT, INTEGER, NULL

MASK = "****"
# Wide on purpose: a misspelt key of a secret must not show its value either.
_CREDENTIAL = re.compile(r"key|secret|pass|token|cred|user|login|auth$", re.IGNORECASE)
# Up to the last @, because passwords hold / and @ too; never past another ://, which keeps it linear.
_USER_IN_URL = re.compile(r"(://)(?:(?:(?!://)[^\s@])*+@)+")
# The same without a scheme: it takes both, so that a mail address is none.
_USER_AND_HOST = re.compile(r"(?<!\S)[^\s@/:]++:(?!//)(?:[^\s@]*+@)+")
# What stands below it is the names of secrets, or the manifest is refused.
_NAMES = "secrets"
# Addresses of chats and mail servers are secrets as a whole.
_NOTIFIED = re.compile(r"\b(slack|discord|tgram|gchat|pover|mailtos?)://[^\s\"'<>]+", re.IGNORECASE)
# So are those of webhooks, wherever they are meant as such; a misspelt key must not show them either.
_NOTIFIES = re.compile(r"notif|webhook", re.IGNORECASE)
_MAX_SHOWN = 80
_MAX_BRIEF = 60
_MAX_URL = 4096


_TAGS = (
    ("tag:yaml.org,2002:null", NULL),
    ("tag:yaml.org,2002:bool", BOOLEAN),
    ("tag:yaml.org,2002:int", INTEGER),
    ("tag:yaml.org,2002:float", FLOAT),
    ("tag:yaml.org,2002:merge", re.compile("<<")),
)


class _Dumper(yaml.SafeDumper):
    """Quotes the texts that the reader of manifests takes for something else, and not those of YAML 1.1, as `on`."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {
        None: [(tag, re.compile(f"(?:{bare.pattern})$")) for tag, bare in _TAGS]
    }


def is_credential(key: str) -> bool:
    """Say whether the value of this key is a key id, secret, user name, password or token."""
    return _CREDENTIAL.search(key) is not None


def mask_url(text: str) -> str:
    """Replace `user:password` in every URL of a text, and before a host without a scheme; of a chat's URL all of it."""
    if "://" in text:
        text = _NOTIFIED.sub(rf"\1://{MASK}", text)
    return _USER_AND_HOST.sub(f"{MASK}@", _USER_IN_URL.sub(rf"\1{MASK}@", text)) if "@" in text else text


def brief(text: str) -> str:
    """Return the beginning of a value as a sentence may quote it."""
    return mask_url(text[:_MAX_URL])[:_MAX_BRIEF]


def shown(key: str, text: str) -> str:
    """Return a value as a message may show it: masked, on one line, not too long."""
    if is_credential(key) or _NOTIFIES.search(key):
        return MASK
    line = " ".join(mask_url(text[:_MAX_URL]).split())
    return line if len(line) <= _MAX_SHOWN else line[:_MAX_SHOWN] + "…"


def masked_manifest(document: Document) -> str:
    """Return a manifest that was read without a fault as YAML for people: credentials `****`, comments left out.

    Comments go because people leave old keys in them. The command stays as it is.
    """
    masked = _masked("", document.data, notifies=False)
    names = document.data.get(_NAMES) if isinstance(document.data, dict) else None
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
        masked[_NAMES] = names
    return yaml.dump(masked, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=1_000_000)


def _masked(key: str, value: Any, *, notifies: bool) -> Any:
    """Mask a value; `notifies` says that it is part of what names addresses of people."""
    notifies = notifies or _NOTIFIES.search(key) is not None
    if isinstance(value, dict):
        return {name: _masked(str(name), inner, notifies=notifies) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(key, inner, notifies=notifies) for inner in value]
    if value is not None and is_credential(key):
        return MASK
    if not isinstance(value, str) or key == "command":
        return value
    return shown_address(value.strip()) if notifies else mask_url(value)
