"""Which run a command is about, as a person names it."""

from __future__ import annotations

from collections.abc import Iterable

from trainyard.cli.output import remark
from trainyard.client.naming import model_id_of, training_id_of
from trainyard.client.rest import RestClient


def run_named(service: RestClient, text: str, deleted: bool = False) -> str:
    """Return the model id that a text stands for, and say on stderr which one it is where that is not the text."""
    found = model_id_of(service, text, deleted)
    if found != text:
        remark(f"{text} is {found}")
    return found


def runs_named(service: RestClient, texts: Iterable[str], deleted: bool = False) -> list[str]:
    """Return the model ids that texts stand for, each once; with `deleted` among the deleted runs."""
    return list(dict.fromkeys(run_named(service, text, deleted) for text in texts))


def training_named(service: RestClient, text: str) -> str:
    found = training_id_of(service, text)
    if found != text:
        remark(f"{text} is {found}")
    return found
