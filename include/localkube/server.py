"""One server over one folder: its lock, its private folders, and HTTPS on 127.0.0.1."""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from pathlib import Path
from typing import IO

from localkube.config import Config
from localkube.errors import LocalkubeError

_SHUTDOWN_SECONDS = 1
_KEEP_ALIVE_SECONDS = 75


def check_machine() -> None:
    """Raise LocalkubeError on a system that is no Linux, or one that is too old."""
    if not hasattr(os, "pidfd_open") or not Path("/proc/self/stat").exists():
        raise LocalkubeError("localkube runs on Linux alone, 5.3 or later.", "Use a Kubernetes cluster instead.")


def make_private(folder: Path) -> None:
    """Make the cluster's folder, which only this user may enter.

    Raise LocalkubeError if it belongs to another user, who could read whatever is put there.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (owner := folder.stat().st_uid) != os.geteuid():
        hint = "Start it as that user, or take another folder."
        raise LocalkubeError(f"{folder} belongs to another user (uid {owner}).", hint)
    folder.chmod(0o700)
    (folder / "root").mkdir(exist_ok=True)
    (folder / "pods").mkdir(exist_ok=True, mode=0o700)


def lock(folder: Path) -> IO[str]:
    """Return the held lock of a folder, to be closed at the end: two servers would run every pod twice.

    Raise LocalkubeError where another server holds it.
    """
    held = open(folder / "server.lock", "w", encoding="utf-8")  # noqa: SIM115 - the caller closes it
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        hint = "Stop that server first, or take another folder."
        raise LocalkubeError(f"a server already runs the cluster in {folder}.", hint) from None
    return held


def listen(port: int) -> socket.socket:
    """Return a socket that listens on 127.0.0.1, on a free port for 0. Raise LocalkubeError for one that is taken."""
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=256)
    except OSError as error:
        hint = "Give another one with --port."
        raise LocalkubeError(f"port {port} of 127.0.0.1 cannot be had: {error.strerror}.", hint) from None
    # Connections take it over. An answer is written as head and body, and the client's kernel acknowledges the head
    # only after 40 ms: without this every call of a connection would take that long.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def serve(config: Config, port: int) -> None:
    """Write the kubeconfig and answer until SIGTERM or SIGINT."""
    # Here and not above, so that --help and refusals are quick.
    import uvicorn

    from localkube.access import make_certificates, make_token, write_kubeconfig
    from localkube.api import build_app

    certificates, token = make_certificates(config.folder), make_token(config.folder / "token")
    with listen(port) as listener:
        address = listener.getsockname()[1]
        write_kubeconfig(config.kubeconfig, address, certificates.authority, token)
        settings = uvicorn.Config(
            build_app(config, token),
            ssl_certfile=certificates.server,
            ssl_keyfile=certificates.key,
            loop="asyncio",
            ws="websockets-sansio",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        gpus, how = len(config.gpus), f"isolation {config.isolation} and network {config.network}"
        print(f"https://127.0.0.1:{address} with {gpus} GPUs, {how}: KUBECONFIG={config.kubeconfig}")
        sys.stdout.flush()
        uvicorn.Server(settings).run(sockets=[listener])
