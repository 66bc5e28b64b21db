"""The servers of object stores."""

from storeservers import one_machine_server, s3, swift, swift_hands, swiftcloud

__all__ = ["one_machine_server", "s3", "swift", "swift_hands", "swiftcloud"]
