"""HTTP itself: how long it may take, what its failures mean, a file that counts."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from trainyard.client.access import is_loopback
from trainyard.client.errors import UnreachableError, WrongUsageError

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 120.0
_START = "Start it with `trainyard up`, or name another with `trainyard login --url URL`."


class CountedFile(io.FileIO):
    """A file that says how far it has been read."""

    def __init__(self, path: Path, progress: Callable[[int], object] | None) -> None:
        super().__init__(path)
        self._progress = progress

    def read(self, size: int | None = -1) -> bytes:
        chunk = super().read(-1 if size is None else size)
        if self._progress:
            self._progress(self.tell())
        return chunk


def http_client(url: str, answer_seconds: float, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """Open connections to a service; raise WrongUsageError where proxy or certificates cannot be used."""
    try:
        return httpx.Client(
            timeout=httpx.Timeout(answer_seconds, connect=CONNECT_SECONDS),
            transport=transport,
            # No CA bundle is read where no TLS is spoken; no proxy stands before this machine's own services.
            verify=url.startswith("https:"),
            trust_env=not is_loopback(url),
        )
    except (OSError, ValueError, ImportError, httpx.InvalidURL) as error:
        hint = "Look at HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."
        raise WrongUsageError(f"the environment's proxy or certificates cannot be used: {error}", hint) from None


def pause_asked(answer: httpx.Response) -> int:
    """Return for how many seconds an answer asks to wait before the same request is sent again; 0 if it does not."""
    asked = answer.headers.get("retry-after", "")
    return int(asked) if answer.status_code == 429 and re.fullmatch(r"\d{1,6}", asked) else 0


@contextmanager
def translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.HTTPError as error:
        raise _unreachable(url, error) from None


def _unreachable(url: str, error: httpx.HTTPError) -> UnreachableError:
    reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
    if isinstance(error, httpx.TimeoutException) and not isinstance(error, httpx.ConnectTimeout):
        return UnreachableError(
            f"{url} did not answer in time", "Try again; if it stays so, ask whoever runs the service."
        )
    if not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return UnreachableError(f"the connection to {url} broke: {reason}", "Try again.")
    if "SSL" in reason:
        hint = "Check the URL; for a certificate authority of your own, set SSL_CERT_FILE to its certificate."
        return UnreachableError(f"there is no safe connection to {url}: {reason}", hint, sent=False)
    return UnreachableError(f"no service answers at {url}: {reason}", _START, sent=False)
