"""Why a container cannot start yet."""

from __future__ import annotations

from trainyard.errors import TrainyardError


class NotReadyError(TrainyardError):
    """Something a container needs is not there yet; it waits, and tries again when an object changes.

    `waiting` is the reason in the container's status, `event` the reason of the event.
    """

    def __init__(self, waiting: str, event: str, message: str) -> None:
        super().__init__("S101", message)
        self.waiting = waiting
        self.event = event


def mount_failed(message: str) -> NotReadyError:
    return NotReadyError("ContainerCreating", "FailedMount", message)


def config_failed(message: str) -> NotReadyError:
    return NotReadyError("CreateContainerConfigError", "Failed", f"Error: {message}")
