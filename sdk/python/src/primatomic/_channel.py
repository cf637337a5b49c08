"""What the connections of both clients are made of."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Sequence
from pathlib import Path

import grpc

from primatomic.errors import DeadlineExceeded, Error, InvalidArgument, Unavailable

MESSAGE_BYTES_MAX = 2 * (16 << 20) + (64 << 10)
"""Two values of 16 MiB and the rest: the largest message that the API has."""

TIMEOUT_MAX = 30 * 24 * 3600.0

OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.primary_user_agent", "primatomic-python"),
    # A node that has died without a word is noticed while calls wait for it. Servers bear a ping every 5 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # How long connecting may take, which goes on behind a client that was closed.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Else whoever answers DNS could order retries, and those of writes with an unknown outcome among them.
    ("grpc.service_config_disable_resolution", 1),
    # Else clients of one process share connections, and what one of them closes stays open.
    ("grpc.use_local_subchannel_pool", 1),
)

HEALTH = "/grpc.health.v1.Health/Check"

# What may be said to a question about health by a server that was reached.
ANSWERS = frozenset(
    {
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
    }
)

_ENDPOINT = re.compile(r"(?:[^\s:/\[\]]+|\[[0-9a-fA-F:.]+\]):([0-9]{1,5})")

File = str | os.PathLike[str]


def endpoints_of(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the endpoints of a client, each once."""
    endpoints = (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))
    if not endpoints:
        raise ValueError("a client needs an endpoint")
    for endpoint in endpoints:
        shape = _ENDPOINT.fullmatch(endpoint)
        if shape is None or not 1 <= int(shape[1]) <= 65535:
            raise ValueError(f'an endpoint must be "host:port", not {endpoint!r}')
    return endpoints


def credentials_of(
    insecure: bool, ca: File | None, cert: File | None, key: File | None
) -> grpc.ChannelCredentials | None:
    """Return what connections are secured with; None: nothing.

    The files are tried here, as gRPC would say no more than that no connection can be made.
    """
    if insecure:
        if ca or cert or key:
            raise ValueError("insecure means without TLS: give no tls_ca, tls_cert or tls_key")
        return None
    if (cert is None) != (key is None):
        raise ValueError("tls_cert and tls_key belong together")
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is not None:
        trial.load_verify_locations(ca)
    if cert is not None:
        trial.load_cert_chain(cert, key)
    return grpc.ssl_channel_credentials(
        *(None if file is None else Path(file).read_bytes() for file in (ca, key, cert))
    )


def timeout_of(given: float | None, default: float) -> float:
    """Return the time that a call has, in seconds."""
    timeout = default if given is None else given
    if not 0 < timeout <= TIMEOUT_MAX:
        raise InvalidArgument(f"a timeout must be above 0 and at most {TIMEOUT_MAX:g} s, not {timeout}")
    return timeout


def metadata_of(token: str | None, stale: bool) -> tuple[tuple[str, str], ...]:
    """Return what is sent along with a call."""
    metadata = []
    if token is not None:
        metadata.append(("authorization", f"Bearer {token}"))
    if stale:
        metadata.append(("primatomic-consistency", "stale"))
    return tuple(metadata)


def unreached(failure: Error) -> Error | None:
    """Return why a server could not be reached that was asked about its health; None if it could."""
    if failure.code in ANSWERS:
        return None
    failure.details = failure.details.removeprefix("failed to connect to all addresses; last error: ")
    return failure


def lost(failure: Error) -> bool:
    """Whether a call has failed so that its connection may be gone: by the library's word and not by the store's."""
    return not failure.reason and isinstance(failure, (Unavailable, DeadlineExceeded))
