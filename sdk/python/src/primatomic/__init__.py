"""Client of primatomic, a linearizable, replicated key/value store.

The nouns:

- Client: the calls. AsyncClient is the same for asyncio.
- Error: what a call that fails raises, in a class for each gRPC code: NotFound, Unavailable and so on. An error tells
  whether certainly nothing was applied (not_applied) or nobody knows (outcome_unknown).
- NamespaceInfo: what get_namespace returns.
"""

from primatomic._calls import NamespaceInfo
from primatomic.aio import AsyncClient
from primatomic.client import Client
from primatomic.errors import (
    NOT_APPLIED,
    AlreadyExists,
    Cancelled,
    DeadlineExceeded,
    Error,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)

__all__ = [
    "NOT_APPLIED",
    "AlreadyExists",
    "AsyncClient",
    "Cancelled",
    "Client",
    "DeadlineExceeded",
    "Error",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "NamespaceInfo",
    "NotFound",
    "PermissionDenied",
    "ResourceExhausted",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
]
