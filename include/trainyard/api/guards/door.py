"""The guard of /v3: who is calling and how much they send is checked before any byte of the body is read."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from contextlib import ExitStack
from inspect import isawaitable

from fastapi import Request

from trainyard.api.auth import CALLER, caller_of
from trainyard.api.guards.asgi import App, Message, Receive, Scope, Send, header, path_of, refuse
from trainyard.api.guards.bodies import (
    BoundedBody,
    Bounds,
    StalledClient,
    closing,
    has_body,
    read_whole,
    replayed,
    unstalled,
)
from trainyard.api.guards.budgets import AtOnce, Budget
from trainyard.api.guards.texts import check_address, check_body
from trainyard.core.accounts import Caller
from trainyard.errors import TrainyardError
from trainyard.manifest.grid import MAX_RUNS
from trainyard.settings import Settings

log = logging.getLogger(__name__)
# What is no secret: the description of the interface, and the schemas that editors fetch.
_OPEN = re.compile(r"/docs(?:/assets/.*)?|/openapi\.json|/schemas(?:/.*)?", re.DOTALL)
STREAM = re.compile(r"/models/[^/]+/(?:logs|metrics|(?:results|files)/.+|results\.zip)", re.DOTALL)
# An object on its way into a store of the caller's.
OBJECT = re.compile(r"/stores/[^/]+/objects/[^/]+/.+", re.DOTALL)
SUBMISSION = re.compile(r"/(?:models|training_definitions|experiments)/?")
# As good as a submission, without a form.
_STARTED = re.compile(r"/experiments/[^/]+/runs/?")
_JSON = Bounds(1024 * 1024)
# Boundaries, part headers and form fields beside the files of a submission.
_FORM_BYTES = 1024 * 1024
_OBJECT_HINT = "Store it in several objects, or with the tools of your object store."


class Door:
    """ASGI middleware: address, token, Content-Length, limits of the member, then the body within its bounds."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        manifests = MAX_RUNS * settings.manifest_max_bytes
        largest = settings.zip_max_bytes + manifests + _FORM_BYTES
        speed = (settings.upload_seconds, settings.upload_min_rate)
        self._submission = Bounds(largest, *speed)
        self._object = Bounds(settings.object_max_bytes, *speed, _OBJECT_HINT)
        self._submissions = Budget(settings.member_submissions_per_minute, time.monotonic)
        self._bytes = Budget(settings.member_bytes_per_minute, time.monotonic)
        self._streams = AtOnce(settings.member_streams)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        with ExitStack() as used:
            try:
                receive, send = await self._admitted(scope, receive, send, used)
            except TrainyardError as error:
                return await refuse(send, error)
            try:
                return await self._app(scope, receive, send)
            except StalledClient:
                log.info("A client stopped reading %s and was left", scope["path"])

    async def _admitted(self, scope: Scope, receive: Receive, send: Send, used: ExitStack) -> tuple[Receive, Send]:
        """Return how the request is read and answered; raise TrainyardError for one that is refused."""
        check_address(scope)
        path, caller = path_of(scope), None
        if not _OPEN.fullmatch(path):
            caller = scope[CALLER] = await _identified(scope)
        if caller and scope["method"] == "POST" and SUBMISSION.fullmatch(path):
            body = self._submitting(scope, receive, caller, used)
            return body, closing(send, body)
        if caller and scope["method"] == "PUT" and OBJECT.fullmatch(path):
            body = self._storing(scope, receive, caller, used)
            return body, closing(send, body)
        _JSON.check_announced(scope)
        if caller and not caller.admin and scope["method"] == "POST" and _STARTED.fullmatch(path):
            self._submissions.require(caller.name, 1, "submissions")
            self._submissions.spend(caller.name, 1)
        if caller and STREAM.fullmatch(path):
            send = self._streaming(send, caller, used)
        if has_body(scope):
            receive = await _checked(scope, receive)
        return receive, unstalled(send)

    def _submitting(self, scope: Scope, receive: Receive, caller: Caller, used: ExitStack) -> BoundedBody:
        self._submission.check_announced(scope)
        if header(scope, b"content-type").partition(";")[0].strip().lower() != "multipart/form-data":
            raise TrainyardError("C110", "a submission is multipart/form-data", "See /v3/docs.")
        if caller.admin:
            return BoundedBody(receive, self._submission)
        self._submissions.require(caller.name, 1, "submissions")
        self._enter(caller, used)
        self._submissions.spend(caller.name, 1)
        return BoundedBody(receive, self._submission, lambda size: self._paced(caller, size))

    def _storing(self, scope: Scope, receive: Receive, caller: Caller, used: ExitStack) -> BoundedBody:
        self._object.check_announced(scope)
        if caller.admin:
            return BoundedBody(receive, self._object)
        self._enter(caller, used)
        return BoundedBody(receive, self._object, lambda size: self._paced(caller, size))

    def _streaming(self, send: Send, caller: Caller, used: ExitStack) -> Send:
        if caller.admin:
            return send
        self._enter(caller, used)

        async def paced(message: Message) -> None:
            if size := len(message.get("body", b"")):
                await self._paced(caller, size)
            await send(message)

        return paced

    def _enter(self, caller: Caller, used: ExitStack) -> None:
        self._bytes.require(caller.name, 0, "bytes")
        used.enter_context(self._streams.one(caller.name, "submissions, uploads, downloads, logs and metrics"))

    async def _paced(self, caller: Caller, size: int) -> None:
        if pause := self._bytes.spend(caller.name, size):
            await asyncio.sleep(pause)


async def _identified(scope: Scope) -> Caller:
    """Return who is calling, as the application's dependency says it."""
    overrides = scope["app"].dependency_overrides
    found = overrides[caller_of]() if caller_of in overrides else caller_of(Request(scope))
    caller: Caller = await found if isawaitable(found) else found
    return caller


async def _checked(scope: Scope, receive: Receive) -> Receive:
    body = await read_whole(receive, _JSON)
    if body is None:
        return receive
    check_body(body, header(scope, b"content-type"))
    return replayed(body, receive)
