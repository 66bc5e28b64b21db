"""The codes of S3 servers: which of the reasons for a refusal each stands for, whose fault it is and what helps."""

from __future__ import annotations

import re
from collections.abc import Mapping

from trainyard.stores.base import Why
from trainyard.stores.refusals import BUSY, LACKING, STATUSES, Reason

ELSEWHERE = frozenset(
    (
        "PermanentRedirect",
        "TemporaryRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
        "IncorrectEndpoint",
        "InvalidRegion",
    )
)
_EXPIRED = Reason(
    Why.CREDENTIALS,
    "the credentials for {place} have expired",
    "Use an access key that lasts: temporary credentials end while a training waits or runs.",
)
_ARCHIVED = Reason(
    Why.UNABLE,
    "{key!r} in {place} is archived and cannot be read",
    "Restore the object first, or move the data to a storage class that can be read at once.",
)
_ENCRYPTED = Reason(
    Why.UNABLE,
    "{place} cannot use the encryption key of what is to be moved",
    "Give these credentials the right to use the bucket's KMS key, and see that the key is enabled.",
)
_CUSTOMER_KEY = Reason(
    Why.UNABLE,
    "{key!r} in {place} is encrypted with a key of the customer (SSE-C), which a manifest cannot hold",
    "Store the data with the store's own encryption (SSE-S3 or SSE-KMS), or without.",
)
_PAYER = Reason(
    Why.UNABLE,
    "{place} wants its requests to be paid by whoever asks (requester pays)",
    "Copy the data to a bucket of your own, or have requester pays switched off.",
)
_TOO_LARGE = Reason(
    Why.UNABLE,
    "{key!r} is larger than an object in {place} may be",
    "Write smaller files, or have the store's limit raised.",
)
_FULL = Reason(Why.UNABLE, "{place} has no room", "Make room in the bucket, or have its quota raised.")
_NAME = Reason(
    Why.NO_BUCKET,
    "no bucket of the store can have the name of {place}",
    "Use 3 to 63 lower-case letters, digits and hyphens, as in the store's own list of buckets.",
)
_ACCOUNT = Reason(
    Why.UNABLE,
    "the store's account behind {place} is not in order",
    "Ask the store's provider: an account that is closed, unpaid or not signed up for S3 may do nothing.",
)
_LOCKED = Reason(
    Why.FORBIDDEN,
    "an object lock of {place} does not let {key!r} be written or deleted",
    "Wait for the end of its retention, or use a bucket without object lock for results.",
)
_REGION = Reason(
    Why.CREDENTIALS,
    "the region that requests to {place} are signed for is not the bucket's",
    "Use the endpoint of the bucket's region, or name the region in the manifest.",
)
_MOVED = Reason(
    Why.NO_BUCKET,
    "{place} is in another region, or has another endpoint",
    "Use the endpoint that the store shows for the bucket.",
)

_CODES: Mapping[str, Reason] = {
    **dict.fromkeys(
        ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity", "CredentialsNotSupported"),
        Reason(Why.CREDENTIALS),
    ),
    **dict.fromkeys(("ExpiredToken", "TokenRefreshRequired", "ExpiredTokenException"), _EXPIRED),
    **dict.fromkeys(("RequestTimeTooSkewed", "RequestExpired", "RequestNotValidYet"), Reason(Why.CLOCK)),
    "NoSuchBucket": Reason(Why.NO_BUCKET),
    **dict.fromkeys(("InvalidBucketName", "InvalidBucket"), _NAME),
    "AuthorizationHeaderMalformed": _REGION,
    **dict.fromkeys(ELSEWHERE - {"AuthorizationHeaderMalformed"}, _MOVED),
    "NoSuchKey": Reason(Why.NO_KEY),
    # What is missing of an upload is sent again.
    **dict.fromkeys(("NoSuchUpload", "InvalidPart"), Reason(Why.NO_UPLOAD)),
    **dict.fromkeys(("AccessDenied", "AllAccessDisabled", "UnauthorizedAccess"), Reason(Why.FORBIDDEN)),
    "ObjectLocked": _LOCKED,
    **dict.fromkeys(("KeyTooLongError", "InvalidObjectName", "XMinioInvalidObjectName"), Reason(Why.BAD_KEY)),
    **dict.fromkeys(("PreconditionFailed", "InvalidRange"), Reason(Why.CHANGED)),
    **dict.fromkeys(("InvalidObjectState", "ObjectNotInActiveTierError", "RestoreAlreadyInProgress"), _ARCHIVED),
    **dict.fromkeys(("InvalidEncryptionMethodError", "ObjectEncrypted", "SSEEncryptedObject"), _CUSTOMER_KEY),
    **dict.fromkeys(("RequesterPays", "InvalidPayer", "AccessDeniedRequesterPays"), _PAYER),
    **dict.fromkeys(
        (
            "SlowDown",
            "SlowDownRead",
            "SlowDownWrite",
            "Throttling",
            "ThrottlingException",
            "RequestThrottled",
            "RequestLimitExceeded",
            "TooManyRequests",
            "TooManyRequestsException",
            "BandwidthLimitExceeded",
            "ServerBusy",
        ),
        BUSY,
    ),
    **dict.fromkeys(("EntityTooLarge", "MaxMessageLengthExceeded", "ContentLengthTooLarge"), _TOO_LARGE),
    **dict.fromkeys(
        (
            "QuotaExceeded",
            "BucketQuotaExceeded",
            "AccountQuotaExceeded",
            "XMinioAdminBucketQuotaExceeded",
            "XMinioStorageFull",
            "StorageFull",
            "InsufficientStorage",
            "InsufficientCapacity",
            "NoSpaceLeft",
        ),
        _FULL,
    ),
    **dict.fromkeys(("AccountProblem", "NotSignedUp", "UserSuspended", "AccountSuspended", "UserDisabled"), _ACCOUNT),
    **dict.fromkeys(("NotImplemented", "XNotImplemented"), LACKING),
}
# What a status stands for where the code is none of these, or there is no code.
_STATUSES: Mapping[int, Reason] = {**STATUSES, 301: _MOVED, 413: _TOO_LARGE, 507: _FULL}
_OF_KMS = re.compile(r"KMS|\bkms:", re.ASCII)
_PASSING_KMS = re.compile(r"Throttling|Internal|Timeout|Unavailable")
# Some codes stand for many things, which only the text beside them tells apart.
_TEXTS: tuple[tuple[re.Pattern[str], Reason], ...] = (
    (re.compile(r"request has expired|not valid yet|difference between the request time", re.I), Reason(Why.CLOCK)),
    (re.compile(r"requester.?pays", re.I), _PAYER),
    (re.compile(r"\bkms:|KMS key", re.I), _ENCRYPTED),
    (re.compile(r"stored using a form of Server.Side Encryption|\bSSE-C\b|customer.provided key", re.I), _CUSTOMER_KEY),
    (re.compile(r"object.?lock|WORM protected|retention period", re.I), _LOCKED),
)
_VAGUE = ("AccessDenied", "InvalidRequest", "InvalidArgument", "MethodNotAllowed")


def reason_of(code: str, status: int, text: str, key: str) -> Reason:
    """Return what a refusal stands for. `text` is the store's own, of which nothing is shown."""
    found = _of_text(code, text) or _of_kms(code) or _CODES.get(code)
    if found:
        return found
    if status == 404:
        return Reason(Why.NO_KEY if key else Why.NO_BUCKET)
    return _STATUSES.get(status, Reason(Why.BROKEN))


def is_known(code: str) -> bool:
    """Say whether the code alone says what it stands for."""
    return code in _CODES


def _of_text(code: str, text: str) -> Reason | None:
    if code not in _VAGUE:
        return None
    return next((reason for pattern, reason in _TEXTS if pattern.search(text)), None)


def _of_kms(code: str) -> Reason | None:
    if not _OF_KMS.search(code):
        return None
    return Reason(Why.BROKEN) if _PASSING_KMS.search(code) else _ENCRYPTED
