"""A submission's form read with bounded memory: few parts, and large ones on disk from early on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from trainyard.api.guards.bodies import BodyRefused
from trainyard.api.guards.texts import check_text
from trainyard.errors import TrainyardError
from trainyard.manifest.grid import MAX_RUNS

# The manifests and the zip; and account, experiment and the values to set.
_MAX_FILES = MAX_RUNS + 1
_MAX_FIELDS = 200


class _SmallSpool(MultiPartParser):
    spool_max_size = 64 * 1024


class _FormRequest(Request):
    """A request whose form is read by the parser above, once, and has no text that cannot be stored."""

    def form(self, **_: Any) -> Any:
        return self._bounded_form()

    async def _bounded_form(self) -> FormData:
        if self._form is None:
            form = await self._parsed()
            try:
                _check_texts(form)
            except TrainyardError as error:
                await form.close()
                raise BodyRefused(error) from None
            self._form = form
        return self._form

    async def _parsed(self) -> FormData:
        parser = _SmallSpool(
            self.headers, self.stream(), max_files=_MAX_FILES, max_fields=_MAX_FIELDS, max_part_size=64 * 1024
        )
        try:
            return await parser.parse()
        except MultiPartException as error:
            raise HTTPException(400, error.message) from None


def _check_texts(form: FormData) -> None:
    for name, value in form.multi_items():
        check_text(name, "form")
        check_text((value.filename or "") if isinstance(value, UploadFile) else value, "form")


class FormRoute(APIRoute):
    """A route that reads its form with bounded memory."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle: Callable[[Request], Awaitable[Response]] = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handle(_FormRequest(request.scope, request.receive))

        return bounded
