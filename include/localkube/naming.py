"""What the API accepts as a name, a label and an environment variable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from localkube.objects import Obj
from localkube.status import Cause

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_SUBDOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_PLAIN = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?")
_VARIABLE = re.compile(r"[^\s=\x00-\x1f\x7f][^=\x00-\x1f\x7f]*")

_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character, in at most 253 characters"
)
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character, in at most 63 characters"
)
_VALUE_RULE = (
    "a valid label must be an empty string or consist of at most 63 alphanumeric characters, '-', '_' or '.', and must"
    " start and end with an alphanumeric character"
)
_KEY_RULE = (
    "name part must consist of at most 63 alphanumeric characters, '-', '_' or '.', and must start and end with an"
    " alphanumeric character, with an optional DNS subdomain prefix and '/'"
)


def object_name_causes(metadata: Obj) -> Iterator[Cause]:
    """Yield what is wrong with an object's name and namespace; both become parts of a path on disk."""
    name = metadata.get("name", "")
    if not name:
        yield Cause("metadata.name", "Required value: name or generateName is required", "FieldValueRequired")
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        yield invalid_value("metadata.name", name, _SUBDOMAIN_RULE)
    if (namespace := metadata.get("namespace")) and not is_dns_label(namespace):
        yield invalid_value("metadata.namespace", namespace, _LABEL_RULE)


def part_name_causes(field: str, name: str) -> Iterator[Cause]:
    """Yield what is wrong with the name of a container or a volume."""
    if not name:
        yield Cause(field, "Required value", "FieldValueRequired")
    elif not is_dns_label(name):
        yield invalid_value(field, name, _LABEL_RULE)


def label_causes(field: str, labels: Any) -> Iterator[Cause]:
    for key, value in (labels or {}).items():
        if not is_qualified(key):
            yield invalid_value(field, key, _KEY_RULE)
        if len(value) > 63 or (value and not _PLAIN.fullmatch(value)):
            yield invalid_value(field, value, _VALUE_RULE)


def annotation_causes(field: str, annotations: Any) -> Iterator[Cause]:
    for key in annotations or {}:
        if not is_qualified(key.lower()):
            yield invalid_value(field, key, _KEY_RULE)


def is_dns_label(text: str) -> bool:
    return len(text) <= 63 and _DNS_LABEL.fullmatch(text) is not None


def is_qualified(key: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        return False
    return len(name) <= 63 and _PLAIN.fullmatch(name) is not None


def is_variable(text: str) -> bool:
    return _VARIABLE.fullmatch(text) is not None


def invalid_value(field: str, value: object, rule: str) -> Cause:
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(field, f"Invalid value: {shown}: {rule}")


def is_claim_name(text: str) -> bool:
    return len(text) <= 253 and _SUBDOMAIN.fullmatch(text) is not None
