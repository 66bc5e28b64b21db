"""Which values of a manifest are credentials, and how text shows without them."""

from __future__ import annotations

import io
import re
from typing import Any

from ruamel.yaml import YAML

from trainyard.manifest.document import read_document

MASK = "****"
# Wide on purpose: a misspelt key of a secret must not show its value either.
_CREDENTIAL = re.compile(r"key|secret|pass|token|cred|user|login|auth$", re.IGNORECASE)
# Up to the last @, because passwords hold / and @ too; never past another ://, which keeps it linear.
_USER_IN_URL = re.compile(r"(://)(?:(?:(?!://)[^\s@])*+@)+")
# The same without a scheme: it takes both, so that a mail address is none.
_USER_AND_HOST = re.compile(r"(?<!\S)[^\s@/:]++:(?!//)(?:[^\s@]*+@)+")
_LONGEST_SEEN = 80
_BRIEF = 60
_LONGEST_URL = 4096


def is_credential(key: str) -> bool:
    """Say whether the value of this key is a key id, secret, user name, password or token."""
    return _CREDENTIAL.search(key) is not None


def mask_url(text: str) -> str:
    """Replace `user:password` in every URL of a text, and before a host without a scheme."""
    return _USER_AND_HOST.sub(f"{MASK}@", _USER_IN_URL.sub(rf"\1{MASK}@", text)) if "@" in text else text


def brief(text: str) -> str:
    """Return the beginning of a value as a sentence may quote it."""
    return mask_url(text[:_LONGEST_URL])[:_BRIEF]


def shown(key: str, text: str) -> str:
    """Return a value as a message may show it: masked, on one line, not too long."""
    if is_credential(key):
        return MASK
    line = " ".join(mask_url(text[:_LONGEST_URL]).split())
    return line if len(line) <= _LONGEST_SEEN else line[:_LONGEST_SEEN] + "…"


def masked_manifest(data: bytes) -> str:
    """Return a manifest as YAML for people: credentials replaced by `****`, comments left out.

    Comments go because people leave old keys in them. The command stays as it is. Raise TrainyardError for what
    read_manifest would not have accepted.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 1_000_000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    text = io.StringIO()
    yaml.dump(_masked("", read_document(data, len(data)).data), text)
    return text.getvalue()


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(name, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(key, inner) for inner in value]
    if value is not None and is_credential(key):
        return MASK
    return mask_url(value) if isinstance(value, str) and key != "command" else value
