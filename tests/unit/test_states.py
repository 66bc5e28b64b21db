"""States and phases answer for themselves."""

from __future__ import annotations

import pytest

from trainyard.domain.states import Phase, State

_TERMINAL = {
    State.PENDING: False,
    State.RUNNING: False,
    State.COMPLETED: True,
    State.ERROR: True,
    State.CANCELED: True,
}
_STATE_OF = {
    Phase.QUEUED: State.PENDING,
    Phase.VALIDATING: State.PENDING,
    Phase.STAGING: State.PENDING,
    Phase.WAITING_FOR_GPU: State.PENDING,
    Phase.INSTALLING: State.RUNNING,
    Phase.TRAINING: State.RUNNING,
    Phase.STORING: State.RUNNING,
    Phase.DONE: None,
}


@pytest.mark.parametrize("state", State)
def test_a_state_says_whether_it_is_ever_left(state):
    assert state.terminal is _TERMINAL[state]


@pytest.mark.parametrize("phase", Phase)
def test_a_phase_says_what_state_the_run_is_in(phase):
    assert phase.state == _STATE_OF[phase]
