"""Whose secrets and stores a run is given: those of whoever started it, else those of the account that pays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainyard.core.catalogue import Training
from trainyard.core.holders import holders_of
from trainyard.core.secrets import missing_sentence
from trainyard.errors import TrainyardError


def starter_of(context: Mapping[str, Any], training: Training) -> str:
    """Return who started the run of a step: its training's owner, unless somebody else triggered it.

    A member may trigger a training of another one with a command of their own, which must get neither the other's
    secrets nor their stores.
    """
    triggered_by = getattr(context["dag_run"], "triggering_user_name", None)
    return training.owner if context["run_id"] == training.id or not triggered_by else str(triggered_by)


def secrets_of(context: Mapping[str, Any], training: Training) -> dict[str, str]:
    """Read the values of all secrets that a run's training names. Raise TrainyardError C116 with those not there."""
    if not training.spec.secrets:
        return {}
    from trainyard.airflow.secretconnections import read_secret

    user, found = starter_of(context, training), dict[str, str]()
    for name in training.spec.secrets:
        values = (read_secret(holder, name) for holder in holders_of(user, training.account))
        if value := next(filter(None, values), None):
            found[name] = value
    if missing := [name for name in training.spec.secrets if name not in found]:
        message, hint = missing_sentence(missing[0], user, training.account)
        others = f" (nor {', '.join(missing[1:])})" if missing[1:] else ""
        raise TrainyardError("C116", f"{message.rstrip('.')}{others}", hint)
    return found
