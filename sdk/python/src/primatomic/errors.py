"""The errors that calls raise."""

from __future__ import annotations

from typing import Protocol

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

NOT_APPLIED = "NOT_APPLIED"
"""Reason of an error after which certainly nothing has happened: the same call may be made again."""

# The domain of the reasons that the store gives, and the metadata in which gRPC carries them.
_DOMAIN = "primatomic"
_DETAILS_KEY = "grpc-status-details-bin"

# Codes that may come after a call was sent, and say nothing about what became of it.
_UNSURE = frozenset(
    {
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)


class Error(Exception):
    """A call has failed. Most codes have a class of their own, which derives from this one.

    Attributes:
        code: the gRPC code.
        details: what has happened, for people.
        reason: the machine-readable cause that the store gave, such as NO_KEY, NO_NAMESPACE or NOT_APPLIED;
            "" if it gave none.
    """

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(self, details: str, *, reason: str = "", code: grpc.StatusCode | None = None) -> None:
        super().__init__(details)
        self.details = details
        self.reason = reason
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.code.name}: {self.details}"

    @property
    def not_applied(self) -> bool:
        """Whether certainly nothing has happened, and the same call may succeed when it is made again."""
        return self.reason == NOT_APPLIED

    @property
    def outcome_unknown(self) -> bool:
        """Whether a write may or may not have been applied, or be applied in a moment.

        Read before you repeat it, or write so that twice is as good as once. Of a call that only reads it says nothing.
        """
        return not self.not_applied and self.code in _UNSURE


class Cancelled(Error):
    """The client is closed. Nothing was sent (not_applied)."""

    code = grpc.StatusCode.CANCELLED


class InvalidArgument(Error):
    """A key is empty or over 1 KiB, a value over 16 MiB, a name of a namespace or a number is none."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class DeadlineExceeded(Error):
    """The time of the call was over. Unless not_applied, a write may or may not have been applied."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class NotFound(Error):
    """There is no such key (reason NO_KEY), or no such namespace (NO_NAMESPACE)."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(Error):
    """The namespace belongs to another credential."""

    code = grpc.StatusCode.ALREADY_EXISTS


class PermissionDenied(Error):
    """The token is valid, but not for this namespace, or not for this call."""

    code = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhausted(Error):
    """A quota, memory or disk is full; or a list does not fit into one answer (reason LIST_TOO_LARGE)."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class FailedPrecondition(Error):
    """The value is not a string."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Unimplemented(Error):
    """The server is older than the call, or is no primatomic."""

    code = grpc.StatusCode.UNIMPLEMENTED


class Internal(Error):
    """A fault of the server, or of the library beneath. A write may or may not have been applied."""

    code = grpc.StatusCode.INTERNAL


class Unavailable(Error):
    """No node could be reached, or none leads (not_applied); or the connection broke while the call was under way.

    In the last case a write may or may not have been applied.
    """

    code = grpc.StatusCode.UNAVAILABLE


class Unauthenticated(Error):
    """There is no token, or it does not verify, or has expired."""

    code = grpc.StatusCode.UNAUTHENTICATED


_CLASSES = {
    kind.code: kind
    for kind in (
        Cancelled,
        InvalidArgument,
        DeadlineExceeded,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        ResourceExhausted,
        FailedPrecondition,
        Unimplemented,
        Internal,
        Unavailable,
        Unauthenticated,
    )
}


class Failure(Protocol):
    """How grpcio tells that a call has failed: grpc.RpcError of a call, grpc.aio.AioRpcError."""

    def code(self) -> grpc.StatusCode: ...

    def details(self) -> str | None: ...

    def trailing_metadata(self) -> object: ...


def error_of(failure: Failure) -> Error:
    """Return the error for a call that has failed."""
    kind = _CLASSES.get(failure.code(), Error)
    return kind(failure.details() or "", reason=_reason_in(failure.trailing_metadata()), code=failure.code())


def _reason_in(metadata: object) -> str:
    """Return the reason that the store has given; "" if it gave none, or somebody else did."""
    if not isinstance(metadata, tuple):
        metadata = tuple(metadata) if hasattr(metadata, "__iter__") else ()
    for key, value in metadata:
        if key == _DETAILS_KEY:
            return _reason_of(value)
    return ""


def _reason_of(encoded: bytes) -> str:
    info = ErrorInfo()
    try:
        for detail in Status.FromString(encoded).details:
            if detail.Unpack(info) and info.domain == _DOMAIN:
                return str(info.reason)
    except DecodeError:
        pass  # the code stands for itself
    return ""
