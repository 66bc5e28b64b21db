"""How botocore's requests are sent: over checked connections, within the call that they belong to."""

from __future__ import annotations

import os
from typing import Any

from botocore.awsrequest import AWSHTTPConnection, AWSHTTPConnectionPool, AWSHTTPSConnection, AWSHTTPSConnectionPool
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from trainyard.stores.network.call import current
from trainyard.stores.network.connecting import check_answer, check_url, checked, is_object

_REDIRECTS = (301, 302, 303, 307, 308)
_POOLS = {
    "http": checked(AWSHTTPConnectionPool, AWSHTTPConnection),
    "https": checked(AWSHTTPSConnectionPool, AWSHTTPSConnection),
}


class S3Http(URLLib3Session):
    """Sends requests for a client of boto3 and for the listing; redirects are answers as any other."""

    def __init__(self, endpoint: str, config: Any, ca_bundle: str) -> None:
        super().__init__(
            verify=ca_bundle or os.environ.get("AWS_CA_BUNDLE") or True,
            timeout=(config.connect_timeout, config.read_timeout),
            max_pool_connections=config.max_pool_connections,
            proxies=get_environ_proxies(endpoint),
        )
        # The dictionary is the managers' too.
        self._pool_classes_by_scheme.update(_POOLS)

    def send(self, request: Any) -> Any:
        """Send a request and return the answer; raise CallError for what the call has failed at."""
        check_url(request.url)
        try:
            answer = super().send(request)
        except HTTPClientError:
            # botocore would try again, and what has ended a call ends it for good.
            failure = current().failure
            if failure is None:
                raise
            raise failure from None
        if not is_object(current(), answer.raw, request.stream_output):
            check_answer(answer.content)
        if answer.status_code in _REDIRECTS:
            # botocore asks for the bucket's region then, and when that is redirected too, asks again without an end.
            current().was_redirected()
        return answer

    def of(self, client: Any) -> Any:
        """Have a client send all that it does through this; return the client."""
        client.meta.events.register("before-send.s3", lambda request, **_: self.send(request))
        return client
