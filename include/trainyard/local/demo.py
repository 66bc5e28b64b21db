"""The demo: a real example goes through the command line and comes back as a trained model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from trainyard.domain.training import Credentials, StoreRef
from trainyard.local.environment import PROJECT
from trainyard.local.parts import OBJECT_STORE
from trainyard.local.private import private_files
from trainyard.local.secrets import Secrets
from trainyard.local.stack import Stack

EXAMPLE = PROJECT / "examples" / "digits"
DATA_BUCKET = "digits-training-data"
RESULTS_BUCKET = "digits-training-results"


def demo(folder: Path) -> int:
    """Submit the digits example to the stack in a folder and show what came back; return the exit code."""
    stack = Stack(folder)
    endpoint = stack.status()[OBJECT_STORE]["address"]
    secrets = Secrets.of(stack.folder / "secrets.json")
    put_data(stack.folder / "objects")
    manifest, model = prepare(EXAMPLE, stack.folder / "demo", endpoint, secrets)
    code = _trainyard("train", str(model), str(manifest), "--follow")
    if code:
        return code
    model_id = _newest_model_id()
    _trainyard("show", model_id)
    _show_results(endpoint, secrets, model_id)
    return 0


def put_data(objects: Path) -> None:
    """Put the digits into the training bucket, unless an earlier demo did; a bucket is a folder of the store's."""
    for bucket in (DATA_BUCKET, RESULTS_BUCKET):
        (objects / bucket).mkdir(parents=True, exist_ok=True)
    if not any((objects / DATA_BUCKET).iterdir()):
        subprocess.run([sys.executable, EXAMPLE / "make_data.py", objects / DATA_BUCKET], check=True)


def prepare(example: Path, target: Path, endpoint: str, secrets: Secrets) -> tuple[Path, Path]:
    """Fill an example's manifest with this stack's object store and zip its model folder; return both files."""
    target.mkdir(parents=True, exist_ok=True)
    text = (example / "manifest.yml").read_text()
    blanks = {"<auth-url>": endpoint, "<username>": secrets.key_id, "<password>": secrets.secret_key}
    for blank, value in blanks.items():
        text = text.replace(blank, value)
    manifest, model = target / f"{example.name}.yml", target / f"{example.name}.zip"
    manifest.touch(mode=0o600)
    manifest.write_text(text)
    with zipfile.ZipFile(model, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted((example / "model").rglob("*")):
            if "__pycache__" not in file.parts:
                packed.write(file, file.relative_to(example / "model"))
    return manifest, model


def _trainyard(*words: str) -> int:
    print(f"\n$ trainyard {' '.join(_short(word) for word in words)}", flush=True)
    return subprocess.run([sys.executable, "-m", "trainyard.cli.main", *words], check=False).returncode


def _short(word: str) -> str:
    return os.path.relpath(word) if word.startswith("/") else word


def _newest_model_id() -> str:
    command = [sys.executable, "-m", "trainyard.cli.main", "list", "--output", "json"]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    newest: str = max(listed["resources"], key=lambda run: run["submitted_at"])["model_id"]
    return newest


def _show_results(endpoint: str, secrets: Secrets, model_id: str) -> None:
    from trainyard.domain.addresses import ANYWHERE
    from trainyard.settings import read_settings
    from trainyard.stores.opening import open_store

    ref = StoreRef("s3", RESULTS_BUCKET, endpoint)
    store = open_store(ref, Credentials(secrets.key_id, secrets.secret_key), read_settings(os.environ), ANYWHERE)
    print(f"\nThe objects in {RESULTS_BUCKET} under {model_id}/:")
    for entry in store.list(f"{model_id}/"):
        print(f"{entry.size:>10,}  {entry.key}")


if __name__ == "__main__":
    with private_files():
        sys.exit(demo(Path(sys.argv[1] if len(sys.argv) > 1 else ".trainyard")))
