"""Delivers what lies in the outbox: side by side for addresses and accounts, one after the other for one address."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from trainyard.notify.failing import SendError
from trainyard.notify.outbox import Delivery, Outbox

# A receiver has so long in all, however slowly it answers.
MAX_SECONDS = 20.0
_MAX_AT_ONCE, _MAX_PER_ACCOUNT = 16, 4
# An address that fails is left alone for so long: what waits for it is not sent into the void one by one.
_FIRST_PAUSE, _MAX_PAUSE = 5.0, 300.0
_PRUNE_SECONDS = 600.0

Send = Callable[[Delivery], Awaitable[None]]
Report = Callable[[str], object]


@dataclass
class _Queue:
    """What one address is doing; `failures` counts those in a row, the last of which was at `failed_at`."""

    failures: int = 0
    failed_at: float = 0.0
    busy: bool = False

    @property
    def pause(self) -> float:
        return min(_FIRST_PAUSE * 2 ** min(self.failures - 1, 10), _MAX_PAUSE) if self.failures else 0.0


@dataclass
class Courier:
    """Deliveries of one outbox; `send` raises SendError for what did not arrive, and takes `seconds` at most."""

    outbox: Outbox
    send: Send
    report: Report
    clock: Callable[[], float] = time.time
    seconds: float = MAX_SECONDS
    _queues: dict[str, _Queue] = field(default_factory=dict)
    _accounts: Counter[str] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _pruned_at: float = 0.0

    async def look(self) -> None:
        """Start what is due and can be sent now; return without waiting for it."""
        found = await asyncio.to_thread(self._waiting)
        for delivery in sorted(found, key=lambda each: (each.tries, each.made_at)):
            if len(self._tasks) >= _MAX_AT_ONCE:
                return
            if self._may_go(delivery):
                self._start(delivery)

    async def rest(self) -> None:
        """Wait for what has been started."""
        await asyncio.gather(*self._tasks)

    def stop(self) -> None:
        """Break off what is being sent; it is sent again by whoever delivers next."""
        for task in self._tasks:
            task.cancel()

    def _waiting(self) -> list[Delivery]:
        now = self.clock()
        if now - self._pruned_at > _PRUNE_SECONDS:
            self._pruned_at = now
            self.outbox.prune(now)
        return [delivery for delivery in self.outbox.waiting() if delivery.next_at <= now]

    def _may_go(self, delivery: Delivery) -> bool:
        queue = self._queues.setdefault(delivery.to, _Queue())
        free = self._accounts[delivery.account] < _MAX_PER_ACCOUNT
        rested = self.clock() >= queue.failed_at + queue.pause or delivery.is_newer_than(queue.failed_at)
        return free and not queue.busy and rested

    def _start(self, delivery: Delivery) -> None:
        self._queues[delivery.to].busy = True
        self._accounts[delivery.account] += 1
        task = asyncio.create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, delivery))

    def _ended(self, task: asyncio.Task[None], delivery: Delivery) -> None:
        self._tasks.discard(task)
        self._accounts[delivery.account] -= 1
        self._queues[delivery.to].busy = False
        if not task.cancelled() and (error := task.exception()):
            self.report(f"The outbox cannot be written: {type(error).__name__}")

    async def _deliver(self, delivery: Delivery) -> None:
        queue = self._queues[delivery.to]
        try:
            async with asyncio.timeout(self.seconds):
                await self.send(delivery)
        except SendError as error:
            await self._failed(delivery, queue, str(error), error.for_good)
        except TimeoutError:
            await self._failed(delivery, queue, f"it takes more than {self.seconds:.0f} seconds", for_good=False)
        except Exception as error:  # noqa: BLE001 - one address, or one fault of ours, holds no other up
            await self._failed(delivery, queue, f"sending it failed with {type(error).__name__}", for_good=False)
        else:
            queue.failures = 0
            await asyncio.to_thread(self.outbox.arrived, delivery)
            self.report(f"Notified {delivery.shown} of {delivery.message.event} {delivery.message.model_id}.")

    async def _failed(self, delivery: Delivery, queue: _Queue, reason: str, for_good: bool) -> None:
        now = self.clock()
        queue.failures += 1
        queue.failed_at = now
        dead = await asyncio.to_thread(self.outbox.retry_later, delivery, reason, now, for_good=for_good)
        what = "It is given up" if dead else "It is tried again"
        self.report(f"{delivery.shown} was not notified of {delivery.message.event}: {reason}. {what}.")
