"""The local cluster's command: `python -m localkube --folder DIR --port N`."""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from localkube import isolation
from localkube.config import ClusterConfig
from localkube.gpus import first_gpus, gpus_of_machine
from trainyard.errors import TrainyardError
from trainyard.local.private import make_private

_SHUTDOWN_SECONDS = 1
_KEEP_ALIVE_SECONDS = 75
_LONGEST_LAG_SECONDS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cluster's server until SIGTERM or SIGINT; pods go on after it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Its INFO lines hold the commands of every exec.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    options = _parser().parse_args(arguments)
    try:
        _check_machine()
        folder = _make_folders(options.folder)
        with _only_server(folder):
            _serve(_config(options, folder), options.port)
    except TrainyardError as error:
        print(f"{error} {error.hint}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localkube", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the cluster keeps all it has")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 (the default) takes a free one")
    parser.add_argument("--gpus", type=_count, help="GPUs to hand out; by default those of nvidia-smi")
    parser.add_argument("--isolation", choices=isolation.CHOICES, default=isolation.AUTO, help="how mounts are made")
    parser.add_argument(
        "--missing-images", action="append", default=[], metavar="GLOB", help="images that cannot be pulled"
    )
    parser.add_argument(
        "--claim", action="append", default=[], type=_claim, metavar="NAMESPACE/NAME=FOLDER", help="a claim's folder"
    )
    parser.add_argument(
        "--hide", action="append", default=[], type=_folder, metavar="DIR", help="a folder that containers find empty"
    )
    parser.add_argument(
        "--python", type=_prefix, metavar="DIR", help="prefix of the Python that containers find; this machine's own"
    )
    parser.add_argument(
        "--provides", action="append", default=[], metavar="IMAGE", help="an image that this Python stands for"
    )
    parser.add_argument(
        "--phase-lag", type=_seconds, default=0, metavar="SECONDS", help="from the end of containers to their pod's"
    )
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= _LONGEST_LAG_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 0 to {_LONGEST_LAG_SECONDS} seconds")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of GPUs")
    return int(text)


def _claim(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    if name.count("/") != 1 or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAMESPACE/NAME=FOLDER")
    return name, Path(folder).resolve()


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder, and there would be nothing to hide")
    return Path(text).resolve()


def _prefix(text: str) -> Path:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not Path(text, "bin", name).exists():
        raise argparse.ArgumentTypeError(f"{text!r} has no bin/{name}")
    return Path(text).resolve()


def _check_machine() -> None:
    if not hasattr(os, "pidfd_open") or not Path("/proc/self/stat").exists():
        raise TrainyardError("S200", "the local cluster runs on Linux alone.", "Use a Kubernetes cluster instead.")


def _make_folders(folder: Path) -> Path:
    folder = folder.resolve()
    make_private(folder)
    (folder / "root").mkdir(exist_ok=True)
    (folder / "pods").mkdir(exist_ok=True, mode=0o700)
    return folder


def _only_server(folder: Path) -> IO[str]:
    """Return the held lock of a folder: two servers would run every pod twice."""
    lock = open(folder / "server.lock", "w", encoding="utf-8")  # noqa: SIM115 - the caller's `with` holds it
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        hint = "Stop that server first, or take another folder."
        raise TrainyardError("S200", f"a server already runs the cluster in {folder}.", hint) from None
    return lock


def _config(options: argparse.Namespace, folder: Path) -> ClusterConfig:
    return ClusterConfig(
        folder=folder,
        gpus=gpus_of_machine(os.environ) if options.gpus is None else first_gpus(options.gpus),
        isolation=isolation.choose_isolation(options.isolation, folder / "root"),
        claims=dict(options.claim),
        missing_images=tuple(options.missing_images),
        hidden=tuple(options.hide),
        python=options.python,
        provided=tuple(options.provides),
        phase_lag=options.phase_lag,
    )


def _serve(config: ClusterConfig, port: int) -> None:
    # Here and not above, so that --help and refusals are quick.
    import uvicorn

    from localkube.app import build_app
    from localkube.kubeconfig import make_token, write_kubeconfig
    from localkube.tls import make_certificates

    certificates, token = make_certificates(config.folder), make_token(config.token_file)
    with _listen(port) as listener:
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
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )
        gpus, how = len(config.gpus), config.isolation
        print(f"https://127.0.0.1:{address} with {gpus} GPUs and isolation {how}: KUBECONFIG={config.kubeconfig}")
        sys.stdout.flush()
        uvicorn.Server(settings).run(sockets=[listener])


def _listen(port: int) -> socket.socket:
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=256)
    except OSError as error:
        hint = "Give another one with --port."
        raise TrainyardError("S200", f"port {port} of 127.0.0.1 cannot be had: {error.strerror}.", hint) from None
    # Connections take it over. An answer is written as head and body, and the client's kernel acknowledges the head
    # only after 40 ms: without this every call of a connection would take that long.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


if __name__ == "__main__":
    sys.exit(main())
