"""Names of runs as people write them: a model id, or the best of a search."""

from __future__ import annotations

from trainyard.client.rest import RestClient
from trainyard.errors import TrainyardError

_BEST = "@best"


def model_id_of(service: RestClient, name: str) -> str:
    """Return the model id that a name stands for: itself, or of `EXPERIMENT@best` the best trial.

    Raise TrainyardError C107 where there is no such search, and C111 where no trial has a value yet.
    """
    if not name.endswith(_BEST) or name == _BEST:
        return name
    return best_of(service, name.removesuffix(_BEST))


def best_of(service: RestClient, experiment: str) -> str:
    """Return the model id of the best trial of a search."""
    found = service.search(experiment)
    if found.best is None:
        message = f"no trial of {experiment} has a value of {found.metric} yet"
        raise TrainyardError("C111", message, f"`trainyard experiments show {experiment}` shows how they go.")
    return found.best.model_id
