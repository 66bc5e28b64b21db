"""Who the caller is and what it may do: whoever shows the token is one user, who may do everything there is."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from localkube.requests import object_body

USER = "trainyard"
ACCESS_PATH = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
USER_PATH = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def access(request: Request) -> Response:
    """Answer whether the caller may do what the body asks about."""
    body = await object_body(request)
    kind = {"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1"}
    answer = {**kind, "metadata": {}, "spec": body.get("spec") or {}, "status": {"allowed": True}}
    return JSONResponse(answer, 201)


async def user(_: Request) -> Response:
    """Answer who the caller is."""
    kind = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
    return JSONResponse({**kind, "metadata": {}, "status": {"userInfo": {"username": USER}}}, 201)
