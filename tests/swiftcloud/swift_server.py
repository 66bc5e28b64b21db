"""A real Swift in one process: proxy, account, container and object server with a ring of one device each.

`swift_server.py FOLDER SOCKET KEYSTONE`: SOCKET is the number of an inherited listening socket, KEYSTONE the address of
the v3 API. It runs in the interpreter of the servers' own environment.
"""

from __future__ import annotations

import copy
import logging
import os
import socket
import sys
import warnings
from pathlib import Path
from time import monotonic
from typing import Any

SWIFT = """\
[swift-hash]
swift_hash_path_prefix = trainyard
swift_hash_path_suffix = trainyard
[storage-policy:0]
name = all
default = yes
[swift-constraints]
# Pages and objects are small, so that little data shows what happens at their limits.
container_listing_limit = 50
max_file_size = 33554432
"""
STORAGE = """\
[DEFAULT]
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_name = {kind}
log_level = ERROR
log_address = {folder}/no-syslog
log_custom_handlers = swift_server.log_to_stderr
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{engine}
"""
PROXY = """\
[DEFAULT]
swift_dir = {folder}
log_name = proxy
log_level = ERROR
log_address = {folder}/no-syslog
log_custom_handlers = swift_server.log_to_stderr
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats container-quotas
  authtoken keystoneauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
paste.filter_factory = swift_server:with_cache
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
username = swift
password = {password}
user_domain_id = default
project_name = service
project_domain_id = default
delay_auth_decision = true
include_service_catalog = false
service_token_roles_required = true
# A revoked token is refused after this many seconds.
token_cache_time = 1
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = member
project_reader_roles = reader
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
# By default one small segment a second is read after the first ten.
rate_limit_after_segment = 1000
"""
KINDS = ("account", "container", "object")


def main() -> None:
    folder, listening, keystone = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), sys.argv[3]
    warnings.simplefilter("ignore")
    (folder / "devices" / "one").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT)
    password = os.environ["SWIFT_PASSWORD"]
    (folder / "proxy-server.conf").write_text(PROXY.format(folder=folder, keystone=keystone, password=password))
    for kind in KINDS:
        engine = kind if kind != "object" or _keeps_attributes(folder) else "mem_object"
        (folder / f"{kind}-server.conf").write_text(STORAGE.format(folder=folder, kind=kind, engine=engine))
    _serve(folder, listening)


def _keeps_attributes(folder: Path) -> bool:
    """Say whether objects can be files here: they have extended attributes, which not all file systems keep."""
    try:
        os.setxattr(folder, "user.trainyard", bytes(2000))
    except OSError:
        return False
    return True


def _serve(folder: Path, listening: socket.socket) -> None:
    from swift.common import utils

    utils.set_swift_dir(str(folder))
    utils.monkey_patch()
    import eventlet
    from swift.common import constraints, wsgi

    eventlet.hubs.use_hub(utils.get_hub())
    sockets = {kind: eventlet.listen(("127.0.0.1", 0)) for kind in KINDS}
    for kind, own in sockets.items():
        _ring(kind, own.getsockname()[1], folder)
    # All are loaded before the first one runs: importing in green threads locks them up.
    sockets["proxy"] = eventlet.greenio.GreenSocket(listening)
    servers = {kind: wsgi.loadapp(str(folder / f"{kind}-server.conf")) for kind in sockets}
    threads = [
        eventlet.spawn(
            wsgi.wsgi.server,
            sockets[kind],
            application,
            utils.NullLogger(),
            protocol=wsgi.SwiftHttpProtocol,
            capitalize_response_headers=False,
            url_length_limit=constraints.MAX_REQUEST_LINE,
        )
        for kind, application in servers.items()
    ]
    for thread in threads:
        thread.wait()


def _ring(kind: str, port: int, folder: Path) -> None:
    from swift.common.ring import RingBuilder

    here = {"ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1", "replication_port": port}
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=0)
    builder.add_dev({"region": 1, "zone": 1, "device": "one", "weight": 1.0, **here})
    builder.rebalance()
    builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


class Cache:
    """What Swift asks of memcached: the proxy remembers accounts and containers, else each request looks them up."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, object]] = {}

    def get(self, key: str, raise_on_error: bool = False) -> object:
        until, value = self._values.get(key, (0.0, None))
        return copy.deepcopy(value) if monotonic() < until else None

    def set(self, key: str, value: object, time: float = 0, **_: object) -> None:
        self._values[key] = (monotonic() + (time or 3600), copy.deepcopy(value))

    def delete(self, key: str, server_key: object = None) -> None:
        self._values.pop(key, None)


def with_cache(*_: object, **__: object) -> Any:
    """Return the filter that hands every request the one cache."""
    cache = Cache()

    def wrap(application: Any) -> Any:
        def answer(environ: dict[str, Any], start_response: Any) -> Any:
            environ["swift.cache"] = cache
            return application(environ, start_response)

        return answer

    return wrap


def log_to_stderr(*words: Any) -> None:
    """Add a handler to the logger that Swift hands over as the last word but one; it knows only syslog by itself."""
    words[-2].addHandler(logging.StreamHandler())


if __name__ == "__main__":
    main()
