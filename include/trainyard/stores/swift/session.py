"""A sign-in at Keystone v3 that threads share, and a connection to Swift for each of them."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import requests
import swiftclient
from keystoneauth1 import exceptions as keystone
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

from trainyard.domain.training import Credentials, StoreRef
from trainyard.stores.base import Why
from trainyard.stores.network.call import current
from trainyard.stores.network.connecting import POOLS, check_answer, check_url, is_object

CONNECT_SECONDS = 4
READ_SECONDS = 60
RETRIES = 2


class SwiftSession:
    """Nothing is sent before the first connection is asked for. Raise Keystone's errors then.

    All of it is sent within calls, which keep to the policy of addresses: the catalogue's are the store's own claim.
    """

    def __init__(self, ref: StoreRef, credentials: Credentials, ca_bundle: str) -> None:
        self._ref, self._credentials, self._ca_bundle = ref, credentials, ca_bundle
        self._threads = threading.local()

    @property
    def connection(self) -> Any:
        # A connection is one thread's: it holds the request that it is at. The session, with the token, is shared.
        if not hasattr(self._threads, "connection"):
            self._threads.connection = _CheckedSwift(
                session=self._session,
                os_options={"region_name": self._ref.region} if self._ref.region else {},
                auth_version="3",
                retries=RETRIES,
                starting_backoff=0.5,
                cacert=self._ca_bundle or None,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
            )
        return self._threads.connection

    def drop(self) -> None:
        """Forget this thread's connection: an answer may be half read, and it not fit for another request."""
        if hasattr(self._threads, "connection"):
            self._threads.connection.close()
            del self._threads.connection

    @cached_property
    def _session(self) -> Session:
        # It logs every failed request, although all of them are raised and reported.
        logging.getLogger("swiftclient").setLevel(logging.CRITICAL)
        auth = Password(
            auth_url=keystone_url(self._ref.endpoint),
            username=self._credentials.user,
            password=self._credentials.secret,
            user_domain_name=self._ref.domain,
            user_domain_id=None if self._ref.domain else "default",
            project_id=self._ref.project,
        )
        session = _SharedSession(
            auth=auth,
            session=_checked_session(),
            verify=self._ca_bundle or True,
            timeout=READ_SECONDS,
            redirect=False,
        )
        if not session.get_endpoint(service_type="object-store", interface="public", region_name=self._ref.region):
            raise keystone.EndpointNotFound
        return session


class _SharedSession(Session):
    """A session whose token more than one thread may find refused.

    The original says that nothing was invalidated where another thread was first, and swiftclient gives up then.
    """

    def invalidate(self, auth: Any = None) -> bool:
        super().invalidate(auth)
        return True

    def get_token(self, auth: Any = None) -> Any:
        with _as_keystone():
            return super().get_token(auth)

    def get_endpoint(self, auth: Any = None, **kwargs: Any) -> Any:
        with _as_keystone():
            return super().get_endpoint(auth, **kwargs)


@contextmanager
def _as_keystone() -> Iterator[None]:
    """Fail the call for an answer that Keystone's library stumbles over.

    While an object is read or written, the same exceptions of its file are its owner's.
    """
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        current().fail(Why.UNTRUSTED, "its answer is none of Keystone's")


class _CheckedAdapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def send(self, request: Any, stream: bool = False, *args: Any, **kwargs: Any) -> requests.Response:
        check_url(request.url)
        # What is packed is not unpacked, whatever swiftclient asks for.
        request.headers["Accept-Encoding"] = "identity"
        answer = super().send(request, True, *args, **kwargs)
        if not is_object(current(), answer.raw, stream):
            body = check_answer(answer.content)
            answer.raw = HTTPResponse(io.BytesIO(body), preload_content=False)
        return answer


def _checked_session(session: requests.Session | None = None) -> requests.Session:
    """Have a session of requests send everything over checked connections; return it, or a new one."""
    session = session or requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _CheckedAdapter())
    return session


class _CheckedSwift(swiftclient.Connection):
    """A connection to Swift that is led nowhere else: neither by redirects nor by Keystone's catalogue."""

    def http_connection(self, url: str | None = None) -> Any:
        parsed, connection = super().http_connection(url)
        _checked_session(connection.request_session)
        connection.requests_args["allow_redirects"] = False
        return parsed, connection


def keystone_url(endpoint: str) -> str:
    """Return the address of the v3 API; manifests give it with and without the version."""
    base = endpoint.rstrip("/")
    return base if base.endswith("/v3") else f"{base}/v3"
