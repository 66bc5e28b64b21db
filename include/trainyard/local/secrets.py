"""The one-machine stack's own secrets: made once, kept in files that only their owner reads."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Secrets:
    """Airflow's keys, the admin's password and the object store's key pair."""

    fernet_key: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    password: str = field(repr=False)
    key_id: str = field(repr=False)
    secret_key: str = field(repr=False)

    @classmethod
    def of(cls, file: Path) -> Secrets:
        """Read the secrets of a stack, or make them at its first start."""
        if file.exists():
            return cls(**json.loads(file.read_text()))
        made = cls(
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            jwt_secret=secrets.token_hex(32),
            password=secrets.token_urlsafe(12),
            key_id=f"trainyard-{secrets.token_hex(4)}",
            secret_key=secrets.token_hex(20),
        )
        cls.write(file, asdict(made))
        return made

    @staticmethod
    def write(file: Path, data: dict[str, Any]) -> None:
        """Write a JSON file that nobody else can read, at no moment."""
        aside = file.with_name(f".{file.name}")
        aside.unlink(missing_ok=True)
        with open(aside, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as target:
            json.dump(data, target)
        aside.replace(file)
