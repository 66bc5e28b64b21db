"""How people name runs: by a part of an id, a name, `@last`, or the best of an experiment."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from trainyard.answers.runs import RunAnswer
from trainyard.client.errors import WrongUsageError
from trainyard.client.rest import RestClient
from trainyard.domain.metricrules import is_better_small
from trainyard.domain.names import MODEL_ID_PREFIX, is_model_id
from trainyard.errors import TrainyardError

_LAST = re.compile(r"@last(?:~(\d{1,4}))?", re.ASCII)
_BEST = re.compile(r"(.+)@best(?::(.+))?", re.DOTALL)
_SHOWN = 10


def model_id_of(service: RestClient, text: str, deleted: bool = False) -> str:
    """Return the model id that a text stands for, with `deleted` among the deleted runs.

    That is an id, the beginning or the end of one after `training-`, the name of one run, `@last` for the newest run
    of one's own and `@last~2` for the second before it, or `EXPERIMENT@best`, with `:METRIC` where it is no search and
    its runs have several. Raise TrainyardError C107 where there is no such run, C111 where no trial of a search has a
    value yet, and WrongUsageError with all that it may stand for.
    """
    if is_model_id(text):
        return text
    if not text.strip("./ "):
        raise WrongUsageError(f"{text!r} is no run", "`trainyard list` shows the runs there are.")
    if last := _LAST.fullmatch(text):
        return _last(service, int(last[1] or 0))
    if best := _BEST.fullmatch(text):
        return _best(service, best[1], best[2])
    return _only(text, [run for run in service.matching(text, deleted) if _stands_for(text, run)])


def training_id_of(service: RestClient, text: str) -> str:
    """Return the id of the training whose run a text stands for; an id is taken for a training's."""
    return text if is_model_id(text) else service.run(model_id_of(service, text)).training_id


def _stands_for(text: str, run: RunAnswer) -> bool:
    # A service of an earlier version lists all runs.
    part, own = text.removeprefix(MODEL_ID_PREFIX), run.model_id.removeprefix(MODEL_ID_PREFIX)
    return run.name == text or own.startswith(part) or own.endswith(part)


def _only(text: str, found: Sequence[RunAnswer]) -> str:
    if not found:
        hint = "`trainyard list` shows the runs there are; finished ones leave it after the retention time."
        raise TrainyardError("C107", f"there is no run {text}", hint)
    if len(found) > 1:
        lines = [f"{run.model_id}  {run.name}" for run in found[:_SHOWN]]
        more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        raise WrongUsageError(f"{text} may be one of several runs", "\n".join(["Name one of them:", *lines, *more]))
    return found[0].model_id


def _last(service: RestClient, before: int) -> str:
    runs = service.runs({"owner": "@me"}, before + 1)
    if len(runs) <= before:
        raise TrainyardError("C107", f"you have {len(runs)} runs", "`trainyard list` shows all that you may see.")
    return runs[0].model_id


def best_of(service: RestClient, experiment: str) -> str:
    """Return the model id of the best trial of a search.

    Raise TrainyardError C107 where there is no such search, and C111 where no trial has a value yet.
    """
    found = service.search(experiment)
    if found.best is None:
        message = f"no trial of {experiment} has a value of {found.metric} yet"
        raise TrainyardError("C111", message, f"`trainyard experiments show {experiment}` shows how they go.")
    return found.best.model_id


def _best(service: RestClient, experiment: str, metric: str | None) -> str:
    """Return the best run: of a search by its own metric, else by the one that is named or that the runs have."""
    if metric is None:
        try:
            return best_of(service, experiment)
        except TrainyardError as error:
            if error.code.code != "C107":
                raise
    runs = service.runs({"experiment": experiment})
    if not runs:
        raise TrainyardError("C107", f"there is no experiment {experiment}", "`trainyard list` shows experiments.")
    names = sorted({name for run in runs for name in run.metrics})
    if metric is None and len(names) != 1:
        hint = f"Write {experiment}@best:METRIC, with one of {', '.join(names)}."
        raise WrongUsageError(f"the runs of {experiment} have {len(names)} metrics", hint if names else "")
    chosen = metric if metric is not None else names[0]
    having = [run for run in runs if chosen in run.metrics]
    if not having:
        raise TrainyardError("C107", f"no run of {experiment} has a metric {chosen}", f"They have {', '.join(names)}.")
    pick: Callable[..., RunAnswer] = min if is_better_small(chosen) else max
    return pick(having, key=lambda run: run.metrics[chosen]).model_id
