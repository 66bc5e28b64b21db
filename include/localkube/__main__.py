"""The command: `python -m localkube serve --folder DIR` and `python -m localkube end-pods --folder DIR`."""

from __future__ import annotations

import argparse
import logging
import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

from localkube.config import Config
from localkube.errors import LocalkubeError

_MAX_LAG_SECONDS = 10
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ISOLATIONS = ("auto", "mounts", "user-mounts", "paths")
_NETWORKS = ("auto", "namespaces", "loopback")
_MAX_NODES = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a one-node Kubernetes API on this machine, whose containers are processes."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except LocalkubeError as error:
        print(f"{error} {error.hint}", file=sys.stderr)
        return 1
    return 0


def _serve(options: argparse.Namespace) -> None:
    from localkube.server import check_machine, lock, make_private, serve

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Its INFO lines hold the commands of every exec.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    check_machine()
    make_private(options.folder)
    with lock(options.folder):
        serve(_config(options), options.port)


def _end_pods(options: argparse.Namespace) -> None:
    from localkube.runtime import end_all_pods

    print(end_all_pods(options.folder, options.grace))


def _config(options: argparse.Namespace) -> Config:
    from localkube.machine import choose_isolation, choose_network, gpus_of_machine

    gpus = options.gpus if options.gpus is not None else gpus_of_machine() or options.gpus_if_none
    usual = {"HOME": pwd.getpwuid(os.geteuid()).pw_dir, "LANG": "C.UTF-8", "PATH": _PATH}
    return Config(
        folder=options.folder,
        gpus=gpus,
        isolation=choose_isolation(options.isolation, options.folder / "root"),
        claims=dict(options.claim),
        missing_images=tuple(options.missing_images),
        hidden=tuple(options.hide),
        environment=usual | dict(options.env),
        python=options.python,
        provided=tuple(options.provides),
        image_variable=options.image_variable,
        phase_lag=options.phase_lag,
        nodes=options.nodes,
        network=choose_network(options.network),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localkube", description=main.__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--folder", type=_resolved, required=True, metavar="DIR", help="where the cluster keeps all it has"
    )

    serve = commands.add_parser("serve", parents=[folder], help="run the server until SIGTERM or SIGINT; pods go on")
    serve.set_defaults(run=_serve)
    add = serve.add_argument
    add("--port", type=int, default=0, help="port on 127.0.0.1; 0 (the default) takes a free one")
    gpus = serve.add_mutually_exclusive_group()
    gpus.add_argument("--gpus", type=_count, metavar="N", help="hand out GPUs 0 to N-1; by default those of nvidia-smi")
    gpus.add_argument("--gpu-devices", dest="gpus", type=_devices, metavar="A,B", help="hand out GPUs of these names")
    gpus.add_argument(
        "--gpus-if-none", type=_count, default=(), metavar="N", help="hand out N simulated GPUs if the machine has none"
    )
    add("--isolation", choices=_ISOLATIONS, default="auto", help="how containers see their volumes; see README.md")
    add("--network", choices=_NETWORKS, default="auto", help="how pods with names reach one another; see README.md")
    add("--nodes", type=_nodes, default=1, metavar="N", help="nodes to simulate, each with its part of the GPUs")
    add("--missing-images", action="append", default=[], metavar="GLOB", help="images that cannot be pulled")
    add("--claim", action="append", default=[], type=_claim, metavar="NAMESPACE/NAME=DIR", help="a claim's folder")
    add("--hide", action="append", default=[], type=_folder, metavar="DIR", help="a folder that containers find empty")
    add("--env", action="append", default=[], type=_variable, metavar="NAME=VALUE", help="what containers find set")
    add("--python", type=_prefix, metavar="DIR", help="prefix of the Python that containers find; this machine's own")
    add("--provides", action="append", default=[], metavar="IMAGE", help="an image that this Python stands for")
    add("--image-variable", default="", metavar="NAME", help="variable that names to a container its image, if not run")
    add("--phase-lag", type=_seconds, default=0, metavar="SECONDS", help="from the end of containers to their pod's")

    end = commands.add_parser("end-pods", parents=[folder], help="end all pods and print how many ran")
    end.set_defaults(run=_end_pods)
    end.add_argument("--grace", type=float, default=5, metavar="SECONDS", help="from SIGTERM to SIGKILL; default 5")
    return parser


def _resolved(text: str) -> Path:
    return Path(text).resolve()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= _MAX_LAG_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 0 to {_MAX_LAG_SECONDS} seconds")
    return seconds


def _count(text: str) -> tuple[str, ...]:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of GPUs")
    return tuple(str(index) for index in range(int(text)))


def _nodes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_NODES:
        raise argparse.ArgumentTypeError(f"{text!r} is not from 1 to {_MAX_NODES} nodes")
    return int(text)


def _devices(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _claim(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    if name.count("/") != 1 or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAMESPACE/NAME=DIR")
    return name, Path(folder).resolve()


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is no folder, and there would be nothing to hide")
    return Path(text).resolve()


def _prefix(text: str) -> Path:
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not Path(text, "bin", name).exists():
        raise argparse.ArgumentTypeError(f"{text!r} has no bin/{name}")
    return Path(text).resolve()


if __name__ == "__main__":
    sys.exit(main())
