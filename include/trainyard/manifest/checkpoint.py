"""Read what a manifest says of checkpoints."""

from __future__ import annotations

from trainyard.domain.checkpointing import Checkpointing
from trainyard.manifest.document import Path
from trainyard.manifest.values import Values

CHECKPOINT: Path = ("checkpoint",)


def read_checkpoint(values: Values) -> Checkpointing:
    """Return what becomes of the checkpoints; what is wrong is the schema's to say."""
    shared = values.text((*CHECKPOINT, "share")) == "bucket"
    return Checkpointing(shared, resumes=values.text((*CHECKPOINT, "resume")) != "never")
