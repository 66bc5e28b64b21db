"""Write quotas.yaml as Kubernetes objects: `make_quotas.py [QUOTAS_FILE]`, to standard output."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from trainyard.cluster.quotas import quota_objects
from trainyard.manifest.limits import load_limits
from trainyard.settings import data_file

PREFIX, NAMESPACE = "trainyard-", "trainings"
_HEAD = "# Written by `make quotas` from quotas.yaml: change that and run it again.\n"


def text(quotas: Path) -> str:
    """Return the objects of all accounts of a file, as YAML."""
    limits = load_limits(data_file("config/frameworks.yaml"), data_file("config/sizes.yaml"), quotas)
    objects = quota_objects(limits.accounts.values(), PREFIX, NAMESPACE)
    return _HEAD + yaml.safe_dump_all(objects, sort_keys=False, allow_unicode=True, width=120)


if __name__ == "__main__":
    print(text(Path(sys.argv[1]) if sys.argv[1:] else data_file("config/quotas.yaml")), end="")
