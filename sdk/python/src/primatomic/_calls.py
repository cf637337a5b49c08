"""The calls of the API: what is sent, and what is made of the reply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError

from primatomic.errors import Internal, InvalidArgument
from primatomic.v1 import keyvalue_pb2 as pb

Result_co = TypeVar("Result_co", covariant=True)
Text = TypeVar("Text", str, bytes)

KEY_BYTES_MAX = 1024
VALUE_BYTES_MAX = 16 << 20
UINT64_MAX = 2**64 - 1


@dataclass(frozen=True)
class Call(Generic[Result_co]):
    """One call, ready to be sent any number of times."""

    method: str
    request: bytes
    decode: Callable[[bytes], Result_co]
    reads: bool
    """It changes nothing, so that it may be sent again whatever became of it."""
    stale: bool = False
    """What the node's memory holds is good enough."""

    def result(self, reply: bytes) -> Result_co:
        """Return what the call returns, out of the reply."""
        try:
            return self.decode(reply)
        except DecodeError as cause:
            raise Internal(f"the reply cannot be read: {cause}") from cause


@dataclass(frozen=True)
class NamespaceInfo:
    """What a namespace is."""

    namespace: str
    keys: int
    """Keys that have expired and are not yet removed count."""
    bytes: int
    """Of keys and values."""
    revision: int
    """Grows by one with every call that changes something."""


@dataclass(frozen=True)
class Page(Generic[Text]):
    """Some keys in byte order."""

    keys: list[Text]
    next_start_after: bytes
    """Where the next page begins; empty if this is the last one."""


def create_namespace(namespace: str) -> Call[None]:
    return Call(
        _path("CreateNamespace"),
        pb.CreateNamespaceRequest(namespace=namespace).SerializeToString(),
        _nothing(pb.CreateNamespaceResponse.FromString),
        reads=False,
    )


def get_key(namespace: str, key: str | bytes, stale: bool) -> Call[bytes]:
    text, raw = _fields("key", key)
    return Call(
        _path("GetKey"),
        pb.GetKeyRequest(namespace=namespace, key=text, key_bytes=raw).SerializeToString(),
        lambda reply: pb.GetKeyResponse.FromString(reply).value,
        reads=True,
        stale=stale,
    )


def put_key(namespace: str, key: str | bytes, value: bytes | bytearray | memoryview, ttl_ms: int | None) -> Call[None]:
    text, raw = _fields("key", key)
    request = pb.PutKeyRequest(
        namespace=namespace, key=text, key_bytes=raw, value=_value("value", value), ttl_ms=_count("ttl_ms", ttl_ms)
    )
    return Call(_path("PutKey"), request.SerializeToString(), _nothing(pb.PutKeyResponse.FromString), reads=False)


def delete_key(namespace: str, key: str | bytes) -> Call[None]:
    text, raw = _fields("key", key)
    return Call(
        _path("DeleteKey"),
        pb.DeleteKeyRequest(namespace=namespace, key=text, key_bytes=raw).SerializeToString(),
        _nothing(pb.DeleteKeyResponse.FromString),
        reads=False,
    )


def list_keys(
    namespace: str, prefix: Text, limit: int | None, start_after: str | bytes | None, stale: bool
) -> Call[Page[Text]]:
    text, raw = _fields("prefix", prefix)
    request = pb.ListKeysRequest(
        namespace=namespace,
        prefix=text,
        prefix_bytes=raw,
        limit=_count("limit", limit),
        start_after=_bytes("start_after", start_after or b""),
    )

    def decode(reply: bytes) -> Page[Text]:
        page = pb.ListKeysResponse.FromString(reply)
        keys: list[Text]
        if isinstance(prefix, bytes):
            keys = list(page.keys_bytes) or [key.encode() for key in page.keys]
        else:
            # keys_bytes is filled only if keys is not the whole answer.
            keys = [key.decode("utf-8", "surrogateescape") for key in page.keys_bytes] or list(page.keys)
        return Page(keys, page.next_start_after)

    return Call(_path("ListKeys"), request.SerializeToString(), decode, reads=True, stale=stale)


def compare_and_swap(
    namespace: str,
    key: str | bytes,
    expected_value: bytes | bytearray | memoryview,
    new_value: bytes | bytearray | memoryview,
) -> Call[bool]:
    text, raw = _fields("key", key)
    request = pb.CompareAndSwapRequest(
        namespace=namespace,
        key=text,
        key_bytes=raw,
        expected=_value("expected_value", expected_value),
        newValue=_value("new_value", new_value),
    )
    return Call(
        _path("CompareAndSwap"),
        request.SerializeToString(),
        lambda reply: pb.CompareAndSwapResponse.FromString(reply).swapped,
        reads=False,
    )


def list_namespaces(stale: bool) -> Call[list[str]]:
    return Call(
        _path("ListNamespaces"),
        pb.ListNamespacesRequest().SerializeToString(),
        lambda reply: list(pb.ListNamespacesResponse.FromString(reply).namespaces),
        reads=True,
        stale=stale,
    )


def get_namespace(namespace: str, stale: bool) -> Call[NamespaceInfo]:
    def decode(reply: bytes) -> NamespaceInfo:
        info = pb.GetNamespaceResponse.FromString(reply)
        return NamespaceInfo(info.namespace, info.keys, info.bytes, info.revision)

    request = pb.GetNamespaceRequest(namespace=namespace).SerializeToString()
    return Call(_path("GetNamespace"), request, decode, reads=True, stale=stale)


def drop_namespace(namespace: str) -> Call[None]:
    return Call(
        _path("DropNamespace"),
        pb.DropNamespaceRequest(namespace=namespace).SerializeToString(),
        _nothing(pb.DropNamespaceResponse.FromString),
        reads=False,
    )


def _path(method: str) -> str:
    return f"/primatomic.v1.KeyValue/{method}"


def _nothing(parse: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """Return a decoder of replies that say no more than that the call has succeeded."""

    def decode(reply: bytes) -> None:
        parse(reply)

    return decode


def _bytes(name: str, given: str | bytes) -> bytes:
    """Return text or bytes as bytes.

    Keys need not be UTF-8. Those come out of list_keys as text with surrogates in the place of their odd bytes
    (PEP 383), and become the same bytes here.
    """
    if isinstance(given, str):
        return given.encode("utf-8", "surrogateescape")
    if isinstance(given, bytes):
        return given
    raise TypeError(f"{name} must be str or bytes, not {type(given).__name__}")


def _fields(name: str, given: str | bytes) -> tuple[str, bytes]:
    """Return a key or a prefix as the two fields of a request that hold it, one as text and one as bytes."""
    raw = _bytes(name, given)
    if len(raw) > KEY_BYTES_MAX:
        raise InvalidArgument(f"{name} has {len(raw)} bytes, more than {KEY_BYTES_MAX}", reason="TOO_LARGE")
    if isinstance(given, str) and given.encode("utf-8", "replace") == raw:
        return given, b""
    return "", raw


def _value(name: str, given: bytes | bytearray | memoryview) -> bytes:
    """Return a value as bytes. One that the store would refuse after all of it was sent is refused here."""
    if not isinstance(given, (bytes, bytearray, memoryview)):
        raise TypeError(f"{name} must be bytes, not {type(given).__name__}")
    value = bytes(given)
    if len(value) > VALUE_BYTES_MAX:
        raise InvalidArgument(f"{name} has {len(value)} bytes, more than {VALUE_BYTES_MAX}", reason="TOO_LARGE")
    return value


def _count(name: str, given: int | None) -> int | None:
    if given is not None and not 0 <= given <= UINT64_MAX:
        raise InvalidArgument(f"{name} must be between 0 and {UINT64_MAX}, not {given}", reason="INVALID")
    return given


def page_size_of(given: int) -> int:
    if given < 1:
        raise InvalidArgument(f"page_size must be above 0, not {given}", reason="INVALID")
    return given
