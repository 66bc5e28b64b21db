"""ASGI middleware over Airflow's whole api-server: a few of a member's requests are answered at a time, the next wait.

However many a member sends, threads, memory and the interpreter's time are left to the others. A request has its turn
until its client has taken the answer.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import ExitStack
from dataclasses import dataclass, field

from airflow.api_fastapi.app import get_auth_manager
from fastapi import HTTPException

from trainyard.airflow.authmanager import is_admin
from trainyard.api.guards.asgi import App, Message, Receive, Scope, Send, path_of, refuse
from trainyard.api.guards.bodies import StalledClient, unstalled
from trainyard.api.guards.budgets import too_many
from trainyard.api.guards.door import OBJECT, STREAM, SUBMISSION
from trainyard.api.guards.members import user_of
from trainyard.errors import TrainyardError
from trainyard.settings import Settings

log = logging.getLogger(__name__)
# So many of one member may wait for their turn: a browser's tabs, and scripts that ask side by side.
_MAX_WAITING = 200
_RETRY_SECONDS = 5.0
# Task processes, signing in, and files that are the same for everybody.
_ELSEWHERE = ("/execution/", "/auth/", "/static/", "/trainyard/assets/")
# What takes as long as it is large has limits of its own at the front door.
_ARRIVING = {"POST": SUBMISSION, "PUT": OBJECT}
_FRONT_DOOR = re.compile(r"(?:/trainyard)?/v3(/.*)", re.DOTALL)


class MemberTurns:
    """Lets a member's requests wait for each other; an admin's never do."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._turns = Turns(settings.member_requests, _MAX_WAITING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not (name := await _limited(scope)):
            return await self._app(scope, receive, send)
        with ExitStack() as turn:
            try:
                await self._turns.take(name, turn)
            except TrainyardError as error:
                return await refuse(send, error, detail=f"{error.message[:1].upper()}{error.message[1:]}.")
            if STREAM.fullmatch(_below_front_door(scope)):
                send = _ending(turn, send)
            try:
                return await self._app(scope, receive, unstalled(send))
            except StalledClient:
                log.info("A client stopped reading %s and was left", scope["path"])


async def _limited(scope: Scope) -> str:
    """Return the member whose turns a request takes; empty for an admin's, and for one that takes none."""
    if scope["type"] != "http" or path_of(scope).startswith(_ELSEWHERE):
        return ""
    if (wanted := _ARRIVING.get(scope["method"])) and wanted.fullmatch(_below_front_door(scope)):
        return ""
    try:
        user = await user_of(scope)
        admin = is_admin(get_auth_manager(), user)
    except (HTTPException, KeyError):  # nobody that is known: refused further in
        return ""
    return "" if admin else str(user.get_name())


def _below_front_door(scope: Scope) -> str:
    """Return the path below the front door; empty elsewhere. Submissions and streams have limits of their own there."""
    found = _FRONT_DOOR.fullmatch(path_of(scope))
    return found[1] if found else ""


def _ending(turn: ExitStack, send: Send) -> Send:
    """Return a `send` that ends the turn once the answer begins."""

    async def begun(message: Message) -> None:
        if message["type"] == "http.response.start":
            turn.close()
        await send(message)

    return begun


@dataclass
class _Queue:
    free: asyncio.Semaphore
    waiting: int = 0
    users: int = 0


@dataclass
class Turns:
    """At most `at_once` turns of each name at a time, 0 is no limit; `most_waiting` more may wait for theirs."""

    at_once: int
    most_waiting: int
    _queues: dict[str, _Queue] = field(default_factory=dict)

    async def take(self, name: str, turn: ExitStack) -> None:
        """Wait for a turn, which ends with the stack; raise TrainyardError C120 where too many wait already."""
        if not self.at_once:
            return
        queue = self._queues.setdefault(name, _Queue(asyncio.Semaphore(self.at_once)))
        queue.users += 1
        turn.callback(self._left, name, queue)
        if queue.free.locked() and queue.waiting >= self.most_waiting:
            raise too_many(f"{queue.waiting} requests of {name} wait already", _RETRY_SECONDS)
        queue.waiting += 1
        try:
            await queue.free.acquire()
        finally:
            queue.waiting -= 1
        turn.callback(queue.free.release)

    def _left(self, name: str, queue: _Queue) -> None:
        queue.users -= 1
        if not queue.users:
            del self._queues[name]
