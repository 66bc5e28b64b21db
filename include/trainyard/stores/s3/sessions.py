"""boto3 sessions that read botocore's descriptions of S3 once a process."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import boto3.session
import botocore.credentials
import botocore.session

from trainyard.domain.training import Credentials
from trainyard.stores.base import SigningKeys


class _Given:
    """Stands in the place of botocore's search for credentials, which would find those of the machine."""

    def __init__(self, keys: Any) -> None:
        self._keys = keys

    def load_credentials(self) -> Any:
        return self._keys


def new_session(keys: SigningKeys) -> Any:
    """Return a session of the caller's own: one that is shared is not safe to create clients from in several threads.

    What it reads from disk is shared all the same, and is never changed: a client costs 8 ms then instead of 60.
    """
    session = botocore.session.get_session()
    session.register_component("data_loader", _loader())
    session.register_component("credential_provider", _Given(keys))
    return boto3.session.Session(botocore_session=session)


def signing_keys(credentials: Credentials | SigningKeys) -> SigningKeys:
    """Return credentials as botocore signs with them."""
    if isinstance(credentials, Credentials):
        return botocore.credentials.Credentials(credentials.user, credentials.secret)
    return credentials


def read_ahead() -> None:
    """Read what a client needs, so that the processes that are forked from this one find it read."""
    new_session(signing_keys(Credentials("-", "-"))).client("s3", region_name="us-east-1")


@lru_cache(maxsize=1)
def _loader() -> Any:
    return botocore.session.get_session().get_component("data_loader")
