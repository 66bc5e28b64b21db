"""How long the client asks a service that does not answer."""

from __future__ import annotations

import pytest

from trainyard.client.errors import UnreachableError
from trainyard.client.waiting import Patience, patient


class Looks:
    """A look at a service that answers or fails as planned."""

    def __init__(self, *plan: str | None) -> None:
        self._plan = iter(plan)

    def __call__(self) -> str:
        if (answer := next(self._plan)) is None:
            raise UnreachableError("no service answers", "Start it.")
        return answer


def test_a_service_that_never_answered_is_not_waited_for():
    with pytest.raises(UnreachableError):
        patient(Looks(None, "answer"))()


def test_a_service_that_answered_before_may_be_away_for_a_while():
    look = patient(Looks("first", None, None, "second"))
    assert [look() for _ in range(4)] == ["first", None, None, "second"]


def test_what_is_known_to_have_answered_may_be_away_at_the_first_look():
    look = patient(Looks(None, "answer"), answered=True)
    assert [look(), look()] == [None, "answer"]


def test_patience_ends_and_begins_anew_with_every_answer():
    patience = Patience(answered=True, seconds=-1)
    assert patience.is_over
    patience = Patience(answered=False)
    assert patience.is_over
    patience.answered()
    assert not patience.is_over
