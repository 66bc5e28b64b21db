"""The keys of the object store on one machine: the operator's opens every bucket, an account's opens its own five.

rclone asks this program (`--auth-proxy`) for the secret and the buckets of each access key. The store learns its
folder and the operator's key pair by the environment. `python -m trainyard.local.objectkeys ACCOUNT` prints an
account's key pair and makes its buckets. It needs the standard library alone, to answer at once.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

FOLDER, KEY, SECRET = "TRAINYARD_OBJECTS", "TRAINYARD_OBJECTS_KEY", "TRAINYARD_OBJECTS_SECRET"
INBOX_BUCKET = "trainyard"
_INBOX = ("inbox", "accepted", "refused")
_OWN = ("data", "results")
# As schemas/quotas.json has it: no path and no hidden folder.
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def store_environment(folder: Path, key: str, secret: str) -> dict[str, str]:
    """Return what the store has to have in its environment."""
    return {FOLDER: str(folder), KEY: key, SECRET: secret}


def account_secret(secret: str, account: str) -> str:
    """Return the secret of an account's key; it changes with the operator's, and reports nothing of it."""
    return hmac.new(secret.encode(), f"object store of account {account}".encode(), "sha256").hexdigest()


def account_buckets(folder: Path, account: str) -> dict[str, Path]:
    """Return the buckets that an account's key opens, with their folders: no bucket of others, nor their drops."""
    inbox = {f"{name}-{account}": folder / INBOX_BUCKET / name / account for name in _INBOX}
    return inbox | {f"{name}-{account}": folder / f"{name}-{account}" for name in _OWN}


def open_account(environ: Mapping[str, str], account: str) -> dict[str, object]:
    """Make an account's buckets where they are missing; return its key pair and their names."""
    if not _ACCOUNT.fullmatch(account):
        raise ValueError(f"{account!r} cannot be an account")
    buckets = account_buckets(Path(environ[FOLDER]), account)
    for folder in buckets.values():
        folder.mkdir(parents=True, exist_ok=True)
        # The service removes folders that it has emptied, but for those with this bit: rclone shows no bucket without.
        folder.chmod(0o1700)
    secret = account_secret(environ[SECRET], account)
    return {"access_key": f"{environ[KEY]}-{account}", "secret_key": secret, "buckets": list(buckets)}


def open_accounts(environ: Mapping[str, str], accounts: Iterable[str]) -> dict[str, dict[str, object]]:
    return {account: open_account(environ, account) for account in accounts}


def backend_of(environ: Mapping[str, str], key: str) -> dict[str, str] | None:
    """Return the folders and the secret of an access key as rclone reads them, None for a key that opens nothing.

    Whether the caller knows the secret is decided afterwards, so nothing is made for an account that was never opened.
    """
    folder, operator = Path(environ[FOLDER]), environ[KEY]
    if key == operator:
        return {"type": "local", "_root": str(folder), "_secret_access_key": environ[SECRET]}
    account = key.removeprefix(f"{operator}-")
    if account == key or not _ACCOUNT.fullmatch(account):
        return None
    buckets = account_buckets(folder, account)
    if not all(buckets[f"{name}-{account}"].is_dir() for name in _OWN):
        return None
    upstreams = " ".join(_quoted(f"{name}={path}") for name, path in buckets.items())
    secret = account_secret(environ[SECRET], account)
    return {"type": "combine", "_root": "", "upstreams": upstreams, "_secret_access_key": secret}


def _quoted(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def main(words: list[str], asked: IO[str]) -> int:
    if words:
        print(json.dumps(open_account(os.environ, words[0]), indent=2))
        return 0
    answer = backend_of(os.environ, str(json.load(asked).get("user", "")))
    if answer is None:
        return 1
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdin))
