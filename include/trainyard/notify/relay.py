"""`python -m trainyard.notify.relay`: deliver one notification through Apprise, then end.

A process of its own, since Apprise's plugins follow redirects, resolve names and wait as they like: here they connect
to what the policy of addresses allows alone, follow nothing, and are killed when their time is over. What is to be
delivered comes through stdin, so that no secret is in arguments or environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import trainyard
from trainyard.domain.addresses import AddressPolicy
from trainyard.domain.message import Message
from trainyard.notify.failing import SendError
from trainyard.stores.network.resolved import allowed

_PASSED_ON = ("PATH", "LANG", "LD_LIBRARY_PATH", "TZ", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_UNREADABLE, _FAILED = 3, 1


async def relay(url: str, message: Message, policy: AddressPolicy, ca_bundle: str = "") -> None:
    """Deliver a message through Apprise in a process that is killed with its caller's patience; raise SendError."""
    given = {"url": url, "title": message.title, "text": message.text, "policy": asdict(policy)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(ca_bundle),
        cwd=tempfile.gettempdir(),
    )
    try:
        await process.communicate(json.dumps(given).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == _UNREADABLE:
        raise SendError("it is no address of its service's", for_good=True)
    if process.returncode:
        raise SendError("its service does not take it, or cannot be reached")


def _environment(ca_bundle: str) -> dict[str, str]:
    names = {*_PASSED_ON, *_PROXIES, *map(str.upper, _PROXIES)}
    found = {name: value for name, value in os.environ.items() if name in names}
    bundle = {"REQUESTS_CA_BUNDLE": ca_bundle} if ca_bundle else {}
    return {**found, **bundle, "PYTHONPATH": str(Path(trainyard.__file__).parents[1])}


def main() -> int:
    """Deliver what stdin says; return 0 where it arrived, 3 for an address that is none, 1 for everything else."""
    given = json.load(sys.stdin)
    import apprise
    import requests

    _guard(_policy(given["policy"]))
    # Where an address sends its clients, nobody has looked.
    requests.Session.resolve_redirects = lambda *_, **__: iter(())  # type: ignore[assignment,method-assign]
    asset = apprise.AppriseAsset(app_id="Trainyard", app_desc="Trainyard", secure_logging=True)
    receiver = apprise.Apprise.instantiate(given["url"], asset=asset)
    if receiver is None:
        return _UNREADABLE
    sender = apprise.Apprise(asset=asset)
    sender.add(receiver)
    arrived = sender.notify(body=given["text"], title=given["title"], body_format=apprise.NotifyFormat.TEXT)
    return 0 if arrived else _FAILED


def _policy(data: dict[str, Any]) -> AddressPolicy:
    proxies = (urlsplit(url) for url in getproxies().values())
    chosen = tuple((parts.hostname, parts.port) for parts in proxies if parts.hostname and parts.port)
    internal = (*((host, port) for host, port in data["internal"]), *chosen)
    return AddressPolicy(tuple(data["hosts"]), internal, tuple(data["denied"]), data["unrestricted"])


def _guard(policy: AddressPolicy) -> None:
    """Let this process resolve nothing but what may be connected to."""
    resolve = socket.getaddrinfo

    def guarded(host: Any, port: Any, *options: Any, **named: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else str(host or "")
        rows, reason = allowed(policy, name, int(port or 0), resolve(host, port, *options, **named))
        if not rows:
            raise socket.gaierror(socket.EAI_NONAME, reason)
        return rows

    socket.getaddrinfo = guarded


if __name__ == "__main__":
    sys.exit(main())
