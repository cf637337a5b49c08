"""What calls raise that cannot succeed: the right error, in time."""

from __future__ import annotations

import asyncio
import pickle
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import primatomic
import rig
from rig import Kind, Node, Opened, of

TIMEOUT = 0.25
# How much later than its deadline an error may come, on a machine with other work to do.
GRACE = 5.0


async def refused(client: Any, error: type[primatomic.Error], says: str | None = None) -> primatomic.Error:
    """Make calls that write and read. Return the error that both raise in time."""
    calls: list[Callable[[], Any]] = [lambda: client.put_key("0", "k", b"v"), lambda: client.get_key("0", "k")]
    for call in calls:
        began = time.monotonic()
        with pytest.raises(error, match=says) as caught:
            await of(call())
        assert time.monotonic() - began < TIMEOUT + GRACE
        assert caught.type is error
    return caught.value


async def test_no_server(kind: Kind) -> None:
    nowhere = f"{rig.loopback()}:7379"
    async with Opened(kind, nowhere, insecure=True, timeout=TIMEOUT) as client:
        error = await refused(client, primatomic.Unavailable, f"no node could be reached: {nowhere}: .*refused")
        assert error.not_applied and not error.outcome_unknown


async def test_no_server_at_all_endpoints(kind: Kind) -> None:
    nowhere = [f"{rig.loopback()}:7379" for _ in range(3)]
    async with Opened(kind, nowhere, insecure=True, timeout=TIMEOUT) as client:
        await refused(client, primatomic.Unavailable, ".*; ".join(nowhere))


async def test_unknown_host(kind: Kind) -> None:
    async with Opened(kind, "nowhere.invalid:7379", insecure=True, timeout=TIMEOUT) as client:
        error = await of_either(client, primatomic.Unavailable, primatomic.DeadlineExceeded)
        assert error.not_applied


async def of_either(client: Any, *errors: type[primatomic.Error]) -> primatomic.Error:
    with pytest.raises(errors) as caught:
        await of(client.put_key("0", "k", b"v"))
    return caught.value


async def test_wrong_port(kind: Kind, node: Node) -> None:
    """The other side is a Redis door."""
    async with Opened(kind, node.redis, insecure=True, timeout=TIMEOUT) as client:
        error = await of_either(client, primatomic.Unavailable, primatomic.DeadlineExceeded)
        assert error.not_applied


async def test_silent_server(kind: Kind) -> None:
    """The other side takes connections and says nothing."""
    with socket.create_server((rig.loopback(), 0)) as listener:
        address = "{}:{}".format(*listener.getsockname())
        async with Opened(kind, address, insecure=True, timeout=TIMEOUT) as client:
            assert (await refused(client, primatomic.DeadlineExceeded)).not_applied


async def test_tls_to_a_server_without(kind: Kind, node: Node) -> None:
    async with Opened(kind, node.address, timeout=TIMEOUT) as client:
        assert (await refused(client, primatomic.Unavailable, "WRONG_VERSION_NUMBER")).not_applied


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[tuple[Node, Path]]:
    """A node with TLS and authentication, and the authority that it is to be trusted by."""
    directory = tmp_path_factory.mktemp("guarded")
    node = Node(directory / "node")
    cert, private = rig.certificate(directory, f"IP:{node.host}")
    node.flags = ("--tls-cert", cert, "--tls-key", private, "--auth", "jwt", "--jwt-key", key)
    yield node.start(), cert
    node.end()


async def test_tls(kind: Kind, guarded: tuple[Node, Path], key: Path, space: str) -> None:
    node, authority = guarded
    async with Opened(kind, node.address, tls_ca=authority, jwt_token=rig.token(key, "alice")) as client:
        await of(client.create_namespace(space))
        await of(client.put_key(space, "k", b"v"))
        assert await of(client.get_key(space, "k")) == b"v"


async def test_no_tls_to_a_server_with(kind: Kind, guarded: tuple[Node, Path]) -> None:
    async with Opened(kind, guarded[0].address, insecure=True, timeout=TIMEOUT) as client:
        assert (await refused(client, primatomic.Unavailable)).not_applied


async def test_unknown_authority(kind: Kind, guarded: tuple[Node, Path], tmp_path: Path) -> None:
    other, _ = rig.certificate(tmp_path, "DNS:localhost")
    for trusted in (None, other):
        async with Opened(kind, guarded[0].address, tls_ca=trusted, timeout=TIMEOUT) as client:
            assert (await refused(client, primatomic.Unavailable, "CERTIFICATE_VERIFY_FAILED")).not_applied


async def test_tokens(kind: Kind, guarded: tuple[Node, Path], key: Path, space: str, tmp_path: Path) -> None:
    node, authority = guarded
    foreign = tmp_path / "jwt.key"
    foreign.write_text("a secret that the node does not know, long enough")

    def opened(token: str | None) -> Opened:
        return Opened(kind, node.address, tls_ca=authority, jwt_token=token, timeout=TIMEOUT)

    async with opened(None) as client:
        assert (await refused(client, primatomic.Unauthenticated)).reason == "NO_TOKEN"
    for token in (rig.token(key, "alice", "--ttl=-1h"), rig.token(foreign, "alice"), "no-token"):
        async with opened(token) as client:
            assert (await refused(client, primatomic.Unauthenticated)).reason == "TOKEN_REFUSED"
    async with opened(rig.token(key, "alice", "--namespaces", "15")) as client:
        await refused(client, primatomic.PermissionDenied)
    async with opened(rig.token(key, "alice")) as client:
        await of(client.create_namespace(space))
    async with opened(rig.token(key, "bob")) as client:
        with pytest.raises(primatomic.AlreadyExists) as caught:
            await of(client.create_namespace(space))
        assert caught.value.reason == "NAMESPACE_TAKEN"
        with pytest.raises(primatomic.PermissionDenied):
            await of(client.get_key(space, "k"))


async def test_sizes(kind: Kind, node: Node) -> None:
    async with Opened(kind, node.address, insecure=True) as client:
        large = bytes((16 << 20) + 1)
        invalid: list[Callable[[], Any]] = [
            lambda: client.put_key("0", "k", large),
            lambda: client.compare_and_swap("0", "k", large, b""),
            lambda: client.compare_and_swap("0", "k", b"", large),
            lambda: client.put_key("0", "k" * 1025, b""),
            lambda: client.get_key("0", b"k" * 1025),
            lambda: client.get_key("0", ""),
            lambda: client.get_key("", "k"),
            lambda: client.get_key("no/name", "k"),
            lambda: client.put_key("0", "k", b"", ttl_ms=-1),
            lambda: client.put_key("0", "k", b"", ttl_ms=2**64),
            lambda: client.put_key("0", "k", b"", ttl_ms=2**63),
            lambda: client.list_keys("0", limit=-1),
            lambda: client.iter_keys("0", page_size=0),
            lambda: client.get_key("0", "k", timeout=0),
            lambda: client.get_key("0", "k", timeout=-1),
            lambda: client.get_key("0", "k", timeout=float("nan")),
            lambda: client.get_key("0", "k", timeout=float("inf")),
        ]
        for call in invalid:
            with pytest.raises(primatomic.InvalidArgument):
                await of(call())
        with pytest.raises(primatomic.ResourceExhausted):
            await of(client.create_namespace("x" * (33 << 20)))
        wrong: list[Callable[[], Any]] = [
            lambda: client.put_key("0", "k", "text"),
            lambda: client.put_key("0", "k", 5),
            lambda: client.get_key("0", 5),
            lambda: client.get_key(5, "k"),
        ]
        for call in wrong:
            with pytest.raises(TypeError):
                await of(call())


async def test_deadline_of_a_call(kind: Kind, node: Node, space: str) -> None:
    """A deadline that nothing can hold is met all the same, and says that nothing was sent, or that nobody knows."""
    async with Opened(kind, node.address, insecure=True) as client:
        await of(client.create_namespace(space))
        for timeout in (1e-6, 1e-4):
            with pytest.raises(primatomic.DeadlineExceeded) as caught:
                await of(client.put_key(space, "k", bytes(8 << 20), timeout=timeout))
            assert caught.value.not_applied is not caught.value.outcome_unknown
        await of(client.get_namespace(space))


async def test_closed(kind: Kind, node: Node) -> None:
    async with Opened(kind, node.address, insecure=True) as client:
        await of(client.list_namespaces())
        await of(client.close())
        error = await refused(client, primatomic.Cancelled, "closed")
        assert error.not_applied
    async with Opened(kind, node.address, insecure=True):
        pass  # closed without a call


async def test_cancelled_task(node: Node) -> None:
    """A task that is cancelled ends at once."""
    with socket.create_server((rig.loopback(), 0)) as listener:
        address = "{}:{}".format(*listener.getsockname())
        async with primatomic.AsyncClient(address, insecure=True, timeout=60) as client:
            task = asyncio.create_task(client.get_key("0", "k"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([],), "needs an endpoint"),
        (("host",), "host:port"),
        (("host:0",), "host:port"),
        (("host:65536",), "host:port"),
        (("https://host:443",), "host:port"),
        ((["host:1", "::1:2"],), "host:port"),
        (("host:1", {"insecure": True, "tls_ca": "x"}), "without TLS"),
        (("host:1", {"tls_cert": "x"}), "belong together"),
        (("host:1", {"tls_ca": "/dev/null"}), "certificate"),
        (("host:1", {"tls_ca": "/nowhere"}), "No such file"),
        (("host:1", {"jwt_token": ""}), "empty"),
        (("host:1", {"jwt_token": "two\nlines"}), "printable"),
        (("host:1", {"timeout": 0}), "timeout"),
    ],
)
async def test_arguments_of_clients(kind: Kind, arguments: tuple[Any, ...], says: str) -> None:
    endpoints, options = arguments if len(arguments) == 2 else (arguments[0], {})
    with pytest.raises((ValueError, OSError, primatomic.InvalidArgument), match=says):
        kind(endpoints, **options)


def test_every_code_of_the_store_has_a_class() -> None:
    """The store's own table of codes is the measure; ABORTED is of transactions, which the API does not have."""
    table = (rig.ROOT / "grpcapi" / "verdict.go").read_text()
    used = {re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper() for name in re.findall(r"codes\.([A-Z]\w+),", table)}
    classes = {kind.code.name for kind in primatomic.Error.__subclasses__()}
    assert "NOT_FOUND" in used and used - classes == {"ABORTED"}


def test_errors_travel() -> None:
    """An error that goes to another process stays what it is."""
    sent = primatomic.Unavailable("no leader", reason=primatomic.NOT_APPLIED)
    got = pickle.loads(pickle.dumps(sent))
    assert (type(got), got.details, got.reason) == (primatomic.Unavailable, "no leader", "NOT_APPLIED")
    odd = pickle.loads(pickle.dumps(primatomic.Error("odd", code=grpc.StatusCode.DATA_LOSS)))
    assert odd.code is grpc.StatusCode.DATA_LOSS and odd.outcome_unknown
