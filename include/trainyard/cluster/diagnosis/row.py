"""One row of the table of endings, and the hints that rows share."""

from __future__ import annotations

from dataclasses import dataclass

from trainyard.cluster.diagnosis.signs import Sign

READ_LOG = "See what it wrote with `trainyard logs{f.of_run}`, fix the program and submit it again."
TAKE_LARGER = "Take a larger size, or let the program hold less at once (smaller batches, fewer data loaders)."
# No hint promises another attempt: whoever reads one has a run that had its last.
SUBMIT_AGAIN = "Submit it again: what the program kept in CHECKPOINT_DIR is still there."
ASK_OPERATORS = "Those who run the service have to look at the cluster; submit it again after that."


@dataclass(frozen=True)
class Row:
    """One way to end. The first row that matches decides; `f` in the message is the facts.

    `final` is False where the cluster itself keeps trying, so that only the caller's patience makes it an end.
    """

    name: str
    why: str
    matches: Sign
    code: str | None
    message: str = ""
    hint: str = ""
    final: bool = True
