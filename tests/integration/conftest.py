"""The servers of object stores."""

from killable import server, started
from storeservers import closed_port, one_machine_server, s3, swift, swift_hands, swiftcloud, wire, wired

__all__ = [
    "closed_port",
    "one_machine_server",
    "s3",
    "server",
    "started",
    "swift",
    "swift_hands",
    "swiftcloud",
    "wire",
    "wired",
]
