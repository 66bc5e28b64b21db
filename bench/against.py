"""From accepted to program running, in turn: the service, a bare pod, and a stock Airflow with a generator file."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from bench.figures import Figure
from bench.stacks import front_door
from bench.start import bare_pod, started
from bench.stock import Stock
from bench.tiny import Tiny
from trainyard.local.ready import wait_for
from trainyard.local.stack import Stack

Say = Callable[[str], None]
# A stock Airflow looks for changed files every half minute, and for new ones in its folder every five minutes.
_LIMIT_SECONDS = 420


def starts(stack: Stack, stock: Stock, job: Tiny, turns: int, stock_turns: int, when: str, say: Say) -> list[Figure]:
    """Measure so many turns after one that warms up, the stock Airflow in the first `stock_turns` of them."""
    prefix = f"b{len(when):03d}"
    ours: list[float] = []
    bare: list[float] = []
    theirs: list[float] = []
    for turn in range(-1, turns):
        model_id, mine = _ours(stack, job)
        alone = bare_pod(stack, model_id, f"training-{prefix}{turn + 1:05d}")
        took = [_theirs(stock, job, f"{prefix}-{turn + 1}")] if stock_turns and turn < stock_turns else []
        say(f"{when}: trainyard {mine:.2f} s, bare pod {alone:.2f} s, stock Airflow {took}")
        if turn >= 0:
            ours, bare, theirs = [*ours, mine], [*bare, alone], [*theirs, *took]
    over = [mine - alone for mine, alone in zip(ours, bare, strict=True)]
    stocks = [Figure(f"accepted to running, {when}: stock Airflow", theirs, "s")] if theirs else []
    return [
        Figure(f"accepted to running, {when}: trainyard", ours, "s"),
        Figure(f"accepted to running, {when}: bare pod", bare, "s"),
        *stocks,
        Figure(f"accepted to running, {when}: trainyard over the bare pod", over, "s", goal=3),
    ]


def _ours(stack: Stack, job: Tiny) -> tuple[str, float]:
    with front_door(stack) as door:
        model_id: str = door.submit([("manifest.yml", job.manifest)], job.zip, {}).model_id
        at = time.time()
        begun = started(stack, model_id) - at
        # What follows is over before the next is measured.
        assert wait_for(lambda: door.run(model_id).finished_at is not None, _LIMIT_SECONDS)
    return model_id, begun


def _theirs(stock: Stock, job: Tiny, name: str) -> float:
    """Return how long it took, or the limit if it took longer."""
    at = stock.hand_in(name, job)
    if not wait_for(lambda: stock.started(name) is not None, _LIMIT_SECONDS):
        return _LIMIT_SECONDS
    begun = (stock.started(name) or at) - at
    wait_for(partial(_cleaned, stock, name), _LIMIT_SECONDS)
    return begun


def _cleaned(stock: Stock, name: str) -> bool:
    return not (stock.folder / "runs" / name).exists()
