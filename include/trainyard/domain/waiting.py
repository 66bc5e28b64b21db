"""What a run waits for before its program writes anything, in a sentence's part."""

from __future__ import annotations

from trainyard.domain.states import Phase


def waits_for(phase: Phase, gpus: int) -> str:
    """Say what a run in this phase waits for, as far as the phase tells; empty once its program runs."""
    if phase is Phase.WAITING_FOR_GPU and not gpus:
        return "waiting for a place to run"
    return _SENTENCES.get(phase, "")


_SENTENCES = {
    Phase.QUEUED: "waiting to be looked at",
    Phase.VALIDATING: "checking buckets, credentials and image",
    Phase.STAGING: "bringing the training data",
    Phase.WAITING_FOR_GPU: "waiting for a GPU of the account",
}
