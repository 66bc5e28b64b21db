"""Read what a manifest says of checkpoints."""

from __future__ import annotations

from trainyard.domain.checkpointing import Checkpointing
from trainyard.manifest.document import Path
from trainyard.manifest.values import Values
from trainyard.manifest.watch import seconds_at

CHECKPOINT: Path = ("checkpoint",)


_SHARED = ("a checkpoint that runs share is not copied.", "Leave out share, or every and keep.")
DEFAULT_KEEP = 2


def read_checkpoint(values: Values) -> Checkpointing:
    """Return what becomes of the checkpoints; what is wrong becomes faults."""
    shared = values.text((*CHECKPOINT, "share")) == "bucket"
    every = seconds_at((*CHECKPOINT, "every"), values.document, values.faults)
    keep = values.integer((*CHECKPOINT, "keep")) or (DEFAULT_KEEP if every else 0)
    if shared and (every or keep):
        values.faults.add((*CHECKPOINT, "share"), *_SHARED)
    return Checkpointing(shared, values.text((*CHECKPOINT, "resume")) != "never", every, keep)
