"""Manifests that tests start from, and how they are read."""

from __future__ import annotations

from functools import cache

from readmanifest import read_manifest

from trainyard.domain.limits import Limits
from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.document import read_document
from trainyard.manifest.limits import load_limits
from trainyard.manifest.masking import masked_manifest
from trainyard.manifest.reading import ManifestRead

# November 2017: the data store in a list, the type inside source and target.
MANIFEST = """\
model_definition:
  name: tf-mnist
  author:
    name: Ada Lovelace
    email: ada@example.com
  description: Digits.
  framework:
    name: tensorflow
    version: 1.2-py3
  execution:
    command: python3 convolutional_network.py --data ${DATA_DIR}
    resource: small
training_data_reference:
- connection:
    endpoint_url: https://s3.example.com
    aws_access_key_id: AKIAEXAMPLE
    aws_secret_access_key: sEcReT/1
  source:
    bucket: mnist-data
    type: s3
training_results_reference:
  connection:
    endpoint_url: https://s3.example.com
    aws_access_key_id: AKIAEXAMPLE
    aws_secret_access_key: sEcReT/1
  target:
    bucket: mnist-models
    type: s3
"""

FFDL = """\
name: tf_convolutional_network
description: Digits.
version: "1.0"
gpus: 1
cpus: 0.5
memory: 1GiB
learners: 1
data_stores:
  - id: store
    type: mount_cos
    training_data:
      container: tf-training-data
    training_results:
      container: tf-trained-model
    connection:
      auth_url: http://s3.default.svc.cluster.local
      user_name: test
      password: sEcReT/1
framework:
  name: tensorflow
  version: "1.5.0-gpu-py3"
  command: python3 convolutional_network.py
"""

SWIFT = """\
    auth_url: https://identity.example.com/v3
    user_name: ada
    password: sEcReT/1
    region: dallas
    domain_name: "1090141"
    project_id: 3f0f
"""


@cache
def limits() -> Limits:
    return load_limits()


def read(text: str | bytes) -> ManifestRead:
    return read_manifest(text if isinstance(text, bytes) else text.encode(), limits())


def masked(text: str | bytes) -> str:
    """Return a text as people may see it, whether it is a good manifest or not."""
    data = text if isinstance(text, bytes) else text.encode()
    return masked_manifest(read_document(data, len(data)))


def refusal(text: str | bytes) -> TrainyardError:
    try:
        read(text)
    except TrainyardError as error:
        return error
    raise AssertionError("the manifest was not refused")


def problems(text: str | bytes) -> dict[str, Problem]:
    """Return the problems of a refused manifest by their path."""
    return {problem.path: problem for problem in refusal(text).problems}


def only_problem(text: str | bytes) -> Problem:
    found = refusal(text).problems
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def change(text: str, old: str, new: str) -> str:
    assert old in text, f"{old!r} is not in the sample"
    return text.replace(old, new)
