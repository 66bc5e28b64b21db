"""How boto3 talks to an endpoint: AWS's own, or any other that speaks S3."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from botocore.config import Config

CONNECT_SECONDS = 4
READ_SECONDS = 60
ATTEMPTS = 3
_CHECKSUMS = ("request_checksum_calculation", "response_checksum_validation")


def client_config(endpoint: str, threads: int, addressing: str) -> Config:
    """Return how boto3 talks to this endpoint.

    `auto` addresses buckets as hosts at AWS and as paths everywhere else. Newer checksums are sent and checked at AWS
    only: other servers refuse them or answer them wrongly.
    """
    aws = is_aws(endpoint)
    checksums = {} if aws else dict.fromkeys(_CHECKSUMS, "when_required")
    return Config(
        signature_version="s3v4",
        # The MD5 that the store answers with is compared; a SHA-256 before would take half of its time again.
        s3={"addressing_style": style_of(endpoint, addressing), "payload_signing_enabled": False},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        max_pool_connections=max(threads, 1),
        **checksums,
    )


def style_of(endpoint: str, addressing: str) -> str:
    """Return `virtual` where the bucket is to be a host, `path` where it is to be the first part of the path."""
    if addressing != "auto":
        return addressing
    return "virtual" if is_aws(endpoint) else "path"


def is_aws(endpoint: str) -> bool:
    return re.search(r"\.amazonaws\.com(\.cn)?$", urlsplit(endpoint).hostname or "") is not None


def region_of(endpoint: str) -> str:
    """Return the region that an AWS endpoint names; us-east-1, which others accept or ignore, for all else."""
    host = (urlsplit(endpoint).hostname or "") if is_aws(endpoint) else ""
    named = re.match(r"s3[.-](?:dualstack\.)?([a-z0-9-]+)\.amazonaws", host)
    return named[1] if named else "us-east-1"
