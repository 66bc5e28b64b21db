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
from trainyard.stores.refusals import place_of, refusal
from trainyard.stores.swift.session import SwiftSession

_STATUSES = {401: Why.CREDENTIALS, 403: Why.FORBIDDEN, 404: Why.NO_BUCKET, 412: Why.CHANGED}
_FULL = 413
# What its libraries, and we, stumble over in an answer of another shape. Files of others that are read or written
# while an object moves raise these too.
_MALFORMED = (ValueError, KeyError, TypeError, AttributeError)


class SwiftRefusals:
    """The calls of one container, and the sentences for what they fail at."""

    def __init__(self, ref: StoreRef, session: SwiftSession, limits: NetworkLimits) -> None:
        self._ref, self._session, self._limits = ref, session, limits
        self._place = place_of(ref.bucket, ref.endpoint)

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
            known = self._of(error, doing, key)
            if known is None and isinstance(error, _MALFORMED) and not call.moves_objects:
                known = refusal(Why.UNTRUSTED, self._place, doing, key, "its answer is none of Swift's")
            if known is None:
                raise
            raise known from None

    def _of(self, error: BaseException, doing: str, key: str) -> StoreError | None:
        if isinstance(error, CallError):
            return refusal(error.why, self._place, doing, key, error.detail, error.cure)
        if isinstance(error, ClientException):
            return self._of_swift(error, doing, key)
        if isinstance(error, keystone.ClientException):
            return self._of_keystone(error, doing)
        if isinstance(error, http.SSLError):
            return self._not_trusted(doing)
        if isinstance(error, http.ConnectionError):
            return refusal(Why.UNREACHABLE, self._place, doing, detail="no connection to its object store")
        if isinstance(error, http.RequestException | HTTPError):
            return refusal(Why.BROKEN, self._place, doing, key, type(error).__name__)
        return None

    def _of_swift(self, error: ClientException, doing: str, key: str) -> StoreError:
        status = error.http_status
        if status == 404 and key and self._has_container():
            return refusal(Why.NO_KEY, self._place, doing, key)
        if status == _FULL:
            cure = "Make room in the container or have its quota raised; one object may not be too large either."
            return refusal(Why.FORBIDDEN, self._place, doing, key, "its quota or size limit is reached", cure)
        if status is not None and 300 <= status < 400:
            return refusal(Why.ADDRESS, self._place, doing, key, REDIRECTED)
        why = _STATUSES.get(status, Why.BROKEN)
        told = why in (Why.NO_BUCKET, Why.CHANGED)
        return refusal(why, self._place, doing, key, "" if told else f"status {status}")

    def _of_keystone(self, error: keystone.ClientException, doing: str) -> StoreError:
        if isinstance(error, keystone.Unauthorized):
            return refusal(Why.CREDENTIALS, self._place, doing)
        if isinstance(error, keystone.CatalogException):
            where = f"region {self._ref.region}" if self._ref.region else "this project"
            detail = f"there is no object store for {where}"
            return refusal(Why.NO_BUCKET, self._place, doing, detail=detail, cure="Check region and project.")
        if isinstance(error, keystone.SSLError):
            return self._not_trusted(doing)
        if isinstance(error, keystone.ConnectionError):
            return refusal(Why.UNREACHABLE, self._place, doing, detail="no connection to Keystone")
        if isinstance(error, keystone.HttpServerError):
            return refusal(Why.BROKEN, self._place, doing, detail="Keystone fails")
        cure = "Check auth_url: it must be the address of a Keystone with its version 3 API."
        return refusal(Why.NO_BUCKET, self._place, doing, detail="no Keystone v3 answers there", cure=cure)

    def _not_trusted(self, doing: str) -> StoreError:
        cure = "Let TRAINYARD_CA_BUNDLE name a file with the certificate of the authority that signed it."
        return refusal(Why.UNREACHABLE, self._place, doing, detail="its certificate is not trusted", cure=cure)

    def _has_container(self) -> bool:
        """Ask Swift: it answers 404 for a missing object and for a missing container."""
        try:
            self._session.connection.head_container(self._ref.bucket)
        except ClientException:
            return False
        return True
