"""What python-swiftclient, Keystone's library and the network below them raise -> what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests.exceptions as http
from keystoneauth1 import exceptions as keystone
from swiftclient import ClientException
from urllib3.exceptions import HTTPError

from trainyard.domain.training import StoreRef
from trainyard.stores.base import StoreError, Why
from trainyard.stores.network.call import REDIRECTED, Call, CallError, calling
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.refusals import BUSY, STATUSES, Reason, place_of, refusal, refusal_for
from trainyard.stores.swift.session import SwiftSession

_FULL = Reason(
    Why.UNABLE, "the quota of {place}, or of its account, is reached", "Make room, or have the quota raised."
)
_TOO_LARGE = Reason(
    Why.UNABLE,
    "{key!r} is larger than an object in {place} may be",
    "Lower TRAINYARD_SWIFT_SEGMENT_BYTES to what the store takes as one object, or have its limit raised.",
)
_NO_ROOM = Reason(Why.UNABLE, "{place} has no room left", "Ask those who run the store: its disks are full.")
_PASSWORD = Reason(
    Why.CREDENTIALS,
    "the password for {place} has expired",
    "Set a new one in the cloud, then submit the training with it.",
)
_PROJECT = Reason(
    Why.FORBIDDEN,
    "Keystone does not let the user of {place} into the project",
    "Give the user a role in the project that the manifest names, or name another project.",
)
_STATUSES = {**STATUSES, 404: Reason(Why.NO_BUCKET), 498: BUSY, 507: _NO_ROOM}
# What its libraries, and we, stumble over in an answer of another shape. Files of others that are read or written
# while an object moves raise these too.
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError)


class SwiftRefusals:
    """The calls of one container, and the sentences for what they fail at."""

    def __init__(self, ref: StoreRef, session: SwiftSession, limits: NetworkLimits) -> None:
        self._ref, self._session, self._limits = ref, session, limits
        self._place = place_of(ref)

    def because(self, why: Why, doing: str, key: str, detail: str = "") -> StoreError:
        """Return what is to be raised for what only we have noticed."""
        return refusal(why, self._place, doing, key, detail)

    @contextmanager
    def during(self, doing: str, key: str = "", size: int | None = None, moving: bool = False) -> Iterator[Call]:
        """Be in a call, and raise a StoreError for whatever Swift, Keystone and their connections raise.

        `size` is how much of an object is read; `moving` says that an object is written. All else goes through.
        """
        with calling(Call(self._limits, size, moving)) as call, self._translated(call, doing, key):
            yield call

    @contextmanager
    def _translated(self, call: Call, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except GeneratorExit:
            raise
        except BaseException as error:
            # Whatever it was, an answer may be half read, and the connection not fit for another request.
            self._session.drop()
            known = self._of(error, doing, key, call)
            if known is None and isinstance(error, _MALFORMED) and not call.moves_objects:
                known = refusal(Why.UNTRUSTED, self._place, doing, key, "its answer is none of Swift's")
            if known is None:
                raise
            raise known from None

    def _of(self, error: BaseException, doing: str, key: str, call: Call) -> StoreError | None:
        if isinstance(error, CallError):
            return refusal(error.why, self._place, doing, key, error.detail, error.hint)
        if isinstance(error, ClientException):
            return self._of_swift(error, doing, key)
        if isinstance(error, keystone.ClientException):
            return self._of_keystone(error, doing, call)
        if isinstance(error, http.SSLError):
            return self._not_trusted(doing)
        if isinstance(error, http.ConnectionError):
            return self._not_reached("its object store", doing, call)
        if isinstance(error, http.RequestException | HTTPError):
            return refusal(Why.BROKEN, self._place, doing, key, type(error).__name__)
        return None

    def _of_swift(self, error: ClientException, doing: str, key: str) -> StoreError:
        status = error.http_status
        if status == 404 and key and self._has_container():
            return refusal(Why.NO_KEY, self._place, doing, key)
        if status is not None and 300 <= status < 400:
            return refusal(Why.ADDRESS, self._place, doing, key, REDIRECTED)
        reason = _of_status(status, _text_of(error))
        reported = reason.why in (Why.NO_BUCKET, Why.CHANGED)
        return refusal_for(reason, self._place, doing, key, "" if reported else f"status {status}")

    def _of_keystone(self, error: keystone.ClientException, doing: str, call: Call) -> StoreError:
        if isinstance(error, keystone.Unauthorized):
            return refusal_for(_PASSWORD if "expired" in str(error) else Reason(Why.CREDENTIALS), self._place, doing)
        if isinstance(error, keystone.Forbidden):
            return refusal_for(_PROJECT, self._place, doing, detail="status 403")
        if _status_of(error) in (413, 429):
            return refusal_for(BUSY, self._place, doing, detail=f"Keystone answers with status {_status_of(error)}")
        if isinstance(error, keystone.CatalogException):
            where = f"region {self._ref.region}" if self._ref.region else "this project"
            detail = f"there is no object store for {where}"
            return refusal(Why.NO_BUCKET, self._place, doing, detail=detail, hint="Check region and project.")
        if isinstance(error, keystone.SSLError):
            return self._not_trusted(doing)
        if isinstance(error, keystone.ConnectionError):
            return self._not_reached("Keystone", doing, call)
        if isinstance(error, keystone.HttpServerError):
            return refusal(Why.BROKEN, self._place, doing, detail="Keystone fails")
        hint = "Check auth_url: it must be the address of a Keystone with its version 3 API."
        return refusal(Why.NO_BUCKET, self._place, doing, detail="no Keystone v3 answers there", hint=hint)

    def _not_reached(self, what: str, doing: str, call: Call) -> StoreError:
        known = f" ({call.not_connected})" if call.not_connected else ""
        return refusal(Why.UNREACHABLE, self._place, doing, detail=f"no connection to {what}{known}")

    def _not_trusted(self, doing: str) -> StoreError:
        hint = "Let TRAINYARD_CA_BUNDLE name a file with the certificate of the authority that signed it."
        return refusal(Why.UNREACHABLE, self._place, doing, detail="its certificate is not trusted", hint=hint)

    def _has_container(self) -> bool:
        """Ask Swift: it answers 404 for a missing object and for a missing container."""
        try:
            self._session.connection.head_container(self._ref.bucket)
        except ClientException:
            return False
        return True


def _of_status(status: int | None, text: str) -> Reason:
    if status == 413:
        # Swift answers the same to what is too much for a quota and to what is too large for one object.
        return _FULL if "quota" in text.lower() else _TOO_LARGE
    return _STATUSES.get(status or 0, Reason(Why.BROKEN))


def _text_of(error: ClientException) -> str:
    content = error.http_response_content or b""
    text = content.decode(errors="replace") if isinstance(content, bytes) else str(content)
    return f"{text[:1000]} {error.http_reason}"


def _status_of(error: keystone.ClientException) -> int | None:
    """Return the status that Keystone answered with, None where it did not answer."""
    status = getattr(error, "http_status", None)
    return status if isinstance(status, int) else None
