"""The servers of object stores, and buckets of every kind."""

from everystore import bucket, parted, remote, store
from storeservers import closed_port, one_machine_server, s3, swift, swift_hands, swiftcloud

__all__ = [
    "bucket",
    "closed_port",
    "one_machine_server",
    "parted",
    "remote",
    "s3",
    "store",
    "swift",
    "swift_hands",
    "swiftcloud",
]
