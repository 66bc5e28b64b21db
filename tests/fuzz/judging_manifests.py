"""Judge what becomes of one manifest, from its bytes to the plan and back from the catalogue's record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from fuzz.manifests import hostile_manifest
from fuzz.refusals import judged_refusal
from fuzz.verdicts import ACCEPTED, Kind, Verdict
from trainyard.domain.limits import Account
from trainyard.domain.plan import Plan
from trainyard.domain.training import TrainingSpec
from trainyard.errors import TrainyardError
from trainyard.manifest.archive import ArchiveRules
from trainyard.manifest.document import read_document
from trainyard.manifest.limits import load_limits
from trainyard.manifest.placeholders import is_filler
from trainyard.manifest.program import program_of
from trainyard.manifest.reading import MAX_BYTES, ManifestRead
from trainyard.manifest.submission import Rules, check_submission

_CODES = ("C101", "C104")
_ACCOUNT = Account("vision", 4, ("ada",), 24, custom_images=True)
_SECRET_KEYS = re.compile("secret|password", re.IGNORECASE)
_LEAST_SECRET = 8
_LINE_END = re.compile("\r\n|[\n\r]")


class Accepted(NamedTuple):
    """A manifest without a fault: spec and plan as the catalogue keeps them, and the text that people may see."""

    spec: str
    plan: str
    read: ManifestRead
    masked: str


@cache
def _rules() -> Rules:
    return Rules(load_limits(), ArchiveRules(), MAX_BYTES)


def run_manifest(data: bytes) -> Accepted | TrainyardError:
    """Submit a manifest as the front door does."""
    try:
        (accepted,) = check_submission([("hostile.yaml", data)], None, _ACCOUNT, _rules(), _accepted)
    except TrainyardError as error:
        return error
    return accepted


def judge_manifest(data: bytes, found: Accepted | TrainyardError) -> Verdict:
    """Hold what became of a manifest against what is promised."""
    if isinstance(found, TrainyardError):
        return judged_refusal(found, _CODES, _lines(data), _secrets(data))
    return _judged_acceptance(*found)


MANIFESTS = Kind(hostile_manifest, run_manifest, judge_manifest, ".yaml")


def _accepted(read: ManifestRead, plan: Plan) -> Accepted:
    program_of(read.submission.spec.command)
    spec = json.dumps(read.submission.spec.as_dict(), allow_nan=False, ensure_ascii=False)
    return Accepted(spec, json.dumps(plan.as_dict(), allow_nan=False), read, read.masked)


def _judged_acceptance(spec: str, plan: str, read: ManifestRead, masked: str) -> Verdict:
    secret = read.submission.results_credentials.secret if read.submission.results_credentials else ""
    command = read.submission.spec.command
    kept = TrainingSpec.from_dict(json.loads(spec))
    if kept != read.submission.spec or json.dumps(Plan.from_dict(json.loads(plan)).as_dict()) != plan:
        return Verdict("wrong", "what was kept is not what was read")
    if len(secret) >= _LEAST_SECRET and secret in masked.replace(command, "") and secret not in command:
        return Verdict("wrong", "the masked manifest has the secret")
    (spec + masked + repr(read.submission)).encode()
    read_document(masked.encode(), len(masked.encode()) + 1)
    return Verdict(ACCEPTED)


def _lines(data: bytes) -> int:
    return len(_LINE_END.split(data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")))


def _secrets(data: bytes) -> set[str]:
    """Return the values that stand below the keys of secrets, as far as the file can be read."""
    if len(data) > MAX_BYTES:
        return set()
    try:
        return {
            text
            for text in _values(read_document(data, len(data)).data, False)
            if len(text) >= _LEAST_SECRET and not is_filler(text)
        }
    except TrainyardError:
        return set()


def _values(value: Any, secret: bool) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, bool(_SECRET_KEYS.search(key)))
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, secret)
    elif secret:
        yield str(value)
