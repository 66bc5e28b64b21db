"""What boto3 and the network below it raise -> what is said about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from trainyard.stores.base import StoreError, Why
from trainyard.stores.network.call import REDIRECTED, Call, CallError, calling
from trainyard.stores.network.limits import NetworkLimits
from trainyard.stores.refusals import Reason, refusal, refusal_for
from trainyard.stores.s3.codes import ELSEWHERE, is_known, reason_of
from trainyard.stores.s3.endpoint import CONNECT_SECONDS

_MALFORMED = (KeyError, TypeError, AttributeError)
_OF_CONNECTIONS = (Why.CREDENTIALS, Why.FORBIDDEN, Why.ADDRESS, Why.NO_HOST, Why.UNREACHABLE, Why.UNTRUSTED)
_CHANGES = ("write to", "delete from")
_NOT_REACHED = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.SSLError, boto.ProxyConnectionError)


class S3Refusals:
    """The calls of one bucket, which `place` names, and the sentences for what they fail at.

    `connection` is the service's that it is opened with, if it is one: no manifest has the address and keys then.
    """

    def __init__(self, place: str, limits: NetworkLimits, connection: str | None = None) -> None:
        self._place, self._limits = place, limits
        self._connection = connection

    def because(self, why: Why, doing: str, key: str, detail: str = "") -> StoreError:
        """Return what is to be raised for what only we have noticed."""
        return refusal(why, self._place, doing, key, detail)

    def no_s3(self, why: Why, doing: str) -> StoreError:
        """Return what is to be raised where something else than S3 answers."""
        hint = "Check the endpoint: it must be the store's S3 endpoint, not a web page."
        return refusal(why, self._place, doing, detail="what answers there does not speak S3", hint=hint)

    @contextmanager
    def during(self, doing: str, key: str = "", size: int | None = None, moving: bool = False) -> Iterator[Call]:
        """Be in a call, and raise a StoreError for whatever boto3 and its connections raise; all else goes through.

        `size` is how much of an object is read; `moving` says that an object is written.
        """
        with self._hinted(), calling(Call(self._limits, size, moving)) as call, self._translated(call, doing, key):
            yield call

    @contextmanager
    def _hinted(self) -> Iterator[None]:
        """Send whoever reads that an address or keys are wrong to those who can fix them."""
        try:
            yield
        except StoreError as error:
            if not self._connection or error.why not in _OF_CONNECTIONS:
                raise
            hint = f"Ask whoever runs the service: address and rights are those of its connection {self._connection}."
            raise StoreError(error.why, error.message, hint) from None

    @contextmanager
    def _translated(self, call: Call, doing: str, key: str) -> Iterator[None]:
        try:
            yield
        except CallError as error:
            raise refusal(error.why, self._place, doing, key, error.detail, error.hint) from None
        except boto.ClientError as error:
            raise self._refusal(error, doing, key) from None
        except _NOT_REACHED as error:
            raise self._not_reached(error, doing, call) from None
        except ResponseParserError:
            raise self.no_s3(Why.NO_BUCKET, doing) from None
        except boto.ParamValidationError:
            raise refusal_for(reason_of("InvalidBucketName", 400, "", ""), self._place, doing) from None
        except (boto.BotoCoreError, ValueError) as error:
            raise refusal(Why.BROKEN, self._place, doing, key, type(error).__name__) from None
        except _MALFORMED:
            # Files of others, which are read or written while an object moves, raise these too.
            if call.moves_objects:
                raise
            raise refusal(Why.UNTRUSTED, self._place, doing, key, "its answer is none of S3's") from None

    def _refusal(self, error: boto.ClientError, doing: str, key: str) -> StoreError:
        reported, meta = error.response["Error"], error.response["ResponseMetadata"]
        code, status, headers = str(reported.get("Code")), meta["HTTPStatusCode"], meta["HTTPHeaders"]
        # The one-machine server is rclone, which answers 500 to every change that its folder refuses.
        if status == 500 and headers.get("x-served-by") == "rclone" and doing in _CHANGES:
            hint = "Make the folder writable and see that the disk has room, or that no file has the name of a folder."
            return refusal(Why.FORBIDDEN, self._place, doing, key, "its folder refuses it", hint)
        if status in (302, 303, 307, 308) and not is_known(code):
            return refusal(Why.ADDRESS, self._place, doing, key, REDIRECTED)
        if code == "500":
            # botocore makes this of an answer that is no XML: a web page, or a failing gateway before a real store.
            return self.no_s3(Why.BROKEN, doing)
        region = reported.get("Region") or headers.get("x-amz-bucket-region")
        if code in ELSEWHERE and region:
            hint = "Use that region's endpoint, or name the region in the manifest."
            detail = f"it is in region {shown(region)} ({code})"
            return refusal(Why.NO_BUCKET, self._place, doing, detail=detail, hint=hint)
        reason = reason_of(code, status, str(reported.get("Message", "")), key)
        return refusal_for(reason, self._place, doing, key, _detail(reason, code, status, reported))

    def _not_reached(self, error: Exception, doing: str, call: Call) -> StoreError:
        text = str(error)
        if isinstance(error, boto.ConnectTimeoutError):
            detail = f"no answer in {CONNECT_SECONDS} seconds"
        elif "CERTIFICATE_VERIFY_FAILED" in text:
            hint = "Let TRAINYARD_CA_BUNDLE name a file with the certificate of the authority that signed it."
            return refusal(Why.UNREACHABLE, self._place, doing, detail="its certificate is not trusted", hint=hint)
        elif isinstance(error, boto.SSLError):
            detail = "there is no TLS at the endpoint"
        else:
            detail = call.not_connected or "no connection"
        return refusal(Why.UNREACHABLE, self._place, doing, detail=detail)


def _detail(reason: Reason, code: str, status: int, reported: Mapping[str, Any]) -> str:
    if reason in (Reason(Why.NO_KEY), Reason(Why.NO_BUCKET)):
        return ""
    storage = f", {shown(reported['StorageClass'])}" if reported.get("StorageClass") else ""
    return f"{shown(code)} ({status}{storage})"


def shown(text: object) -> str:
    """Return what a store calls something, short and without what does not print."""
    return "".join(each for each in str(text)[:64] if each.isprintable())
