"""How swiftclient's and keystoneauth's requests are sent: over checked connections, within the call they belong to."""

from __future__ import annotations

import io
from typing import Any

import requests
import swiftclient
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

from trainyard.stores.network.answers import check_answer
from trainyard.stores.network.call import current
from trainyard.stores.network.connecting import POOLS, check_url, is_object


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


def checked_session(session: requests.Session | None = None) -> requests.Session:
    """Have a session of requests send everything over checked connections; return it, or a new one."""
    session = session or requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _CheckedAdapter())
    return session


class CheckedSwift(swiftclient.Connection):
    """A connection to Swift that is led nowhere else: neither by redirects nor by Keystone's catalogue."""

    def http_connection(self, url: str | None = None) -> Any:
        parsed, connection = super().http_connection(url)
        checked_session(connection.request_session)
        connection.requests_args["allow_redirects"] = False
        return parsed, connection
