"""The use cases over fakes of their ports, and who calls them."""

from __future__ import annotations

import zipfile
from types import SimpleNamespace

import pytest
from memorystore import MemoryStore
from samples import LIMITS
from service_fakes import History, Vault

from trainyard.core.accounts import Caller
from trainyard.core.catalogue import Catalogue
from trainyard.core.service import Service
from trainyard.settings import read_settings

ADA, GRACE, MALLORY = Caller("ada"), Caller("grace"), Caller("mallory")
ROOT = Caller("root", admin=True)
SECRET = "5b1c0ffee5b1c0ffee"
MANIFEST_TEXT = f"""\
model_definition:
  name: tf-mnist
  description: Digits.
  author: {{name: Ada Lovelace, email: ada@example.com}}
  framework: {{name: tensorflow, version: "2.16"}}
  execution:
    command: python3 train.py --data ${{DATA_DIR}}
    resource: small
training_data_reference:
- name: data
  connection:
    endpoint_url: https://objects.example.com
    aws_access_key_id: AKIA5B1C0FFEE
    aws_secret_access_key: {SECRET}
  source: {{bucket: training-data, type: s3}}
training_results_reference:
  name: results
  connection:
    endpoint_url: https://objects.example.com
    aws_access_key_id: AKIA5B1C0FFEE
    aws_secret_access_key: {SECRET}
  target: {{bucket: training-results, type: s3}}
"""


@pytest.fixture
def world(tmp_path):
    """A service and everything behind it."""
    there = SimpleNamespace(
        catalogue=Catalogue(tmp_path / "catalogue"), vault=Vault(), history=History(), pools=[], files_forgotten=[]
    )
    there.service = Service(
        catalogue=there.catalogue,
        vault=there.vault,
        history=there.history,
        limits=lambda: LIMITS,
        settings=read_settings({}),
        clock=lambda: 1_700_000_000.0,
        sync_pools=there.pools.append,
        forget_files=there.files_forgotten.append,
        results_of=lambda training: MemoryStore(),
        pod_waits=lambda run: "",
        transfer_of=lambda run: {"doing": f"downloading for {run}"},
    )
    return there


@pytest.fixture
def packed(tmp_path):
    """Pack files into a zip; by default what the manifest's command needs."""

    def pack(**files):
        path = tmp_path / "model.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in (files or {"train": "print('hello')"}).items():
                archive.writestr(f"{name}.py", text)
        return path

    return pack
