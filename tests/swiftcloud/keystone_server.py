"""A real Keystone v3 in one process, its database and keys below a new folder: `keystone_server.py FOLDER SOCKET`.

SOCKET is the number of an inherited listening socket. It runs in the interpreter of the servers' own environment.
"""

from __future__ import annotations

import os
import socket
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

CONFIGURATION = """\
[DEFAULT]
use_stderr = true
default_log_levels = keystone=ERROR,oslo=ERROR,alembic=ERROR
[database]
connection = sqlite:///{folder}/keystone.db
[token]
provider = fernet
[fernet_tokens]
key_repository = {folder}/fernet
[fernet_receipts]
key_repository = {folder}/fernet
[credential]
key_repository = {folder}/credential
[identity]
password_hash_algorithm = bcrypt
password_hash_rounds = 4
[cache]
enabled = true
backend = dogpile.cache.memory
"""


def main() -> None:
    folder, listening = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    warnings.simplefilter("ignore")
    for keys in ("fernet", "credential"):
        (folder / keys).mkdir(mode=0o700, parents=True)
    (folder / "keystone.conf").write_text(CONFIGURATION.format(folder=folder))
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = str(folder)
    sys.argv = ["keystone"]  # what it imports reads the arguments
    _in_a_child(lambda: _initialise(folder, listening.getsockname()[1]))
    _serve(listening)


def _in_a_child(action: Callable[[], None]) -> None:
    """Run the deed in a fork: bootstrapping locks Keystone's registry of providers, so that nothing can serve then.

    What both need is imported before, since it takes most of the time.
    """
    import keystone.cmd.bootstrap
    import keystone.server.wsgi

    assert keystone.server.wsgi
    child = os.fork()
    if not child:
        action()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit("Keystone's database could not be made")


def _initialise(folder: Path, port: int) -> None:
    import keystone.server
    from keystone.cmd.bootstrap import Bootstrapper
    from keystone.common.fernet_utils import FernetUtils
    from keystone.common.sql import upgrades

    keystone.server.configure(config_files=[str(folder / "keystone.conf")])
    upgrades.offline_sync_database_to_version()
    for keys, group in (("fernet", "fernet_tokens"), ("credential", "credential")):
        FernetUtils(str(folder / keys), 3, group).initialize_key_repository(None, None)
    first = Bootstrapper()
    first.admin_username = first.project_name = first.admin_role_name = "admin"
    first.admin_password = os.environ["KEYSTONE_ADMIN_PASSWORD"]
    first.service_name, first.region_id = "keystone", "home"
    first.public_url = first.internal_url = first.admin_url = f"http://127.0.0.1:{port}/v3"
    first.immutable_roles = True
    first.bootstrap()


def _serve(listening: socket.socket) -> None:
    from keystone.server.wsgi import initialize_public_application
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *_: object, **__: object) -> None:
            pass

    application, one_at_a_time = initialize_public_application(), Lock()

    def answer(environ: Any, start_response: Any) -> Any:
        # SQLite refuses at once what would wait for another writer, and every sign-in writes.
        with one_at_a_time:
            return application(environ, start_response)

    host, port = listening.getsockname()
    make_server(host, port, answer, threaded=True, request_handler=Quiet, fd=listening.fileno()).serve_forever()


if __name__ == "__main__":
    main()
