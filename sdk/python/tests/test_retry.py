"""What is sent again, and what is not: counted by servers that say what they are told to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

import primatomic
import rig
from primatomic.v1 import keyvalue_pb2 as pb
from rig import Kind, Opened, aside, of

Handler = Callable[[grpc.ServicerContext], bytes]

DONE: Handler = lambda _: b""  # noqa: E731


class Server:
    """Answers each call as it is told: the first one by the first handler, those behind the last one by that."""

    def __init__(self) -> None:
        self.script: list[Handler] = [DONE]
        self.probes = 0
        self.calls: list[str] = []
        self.tokens: list[str] = []
        self._lock = threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=(self,))  # type: ignore[arg-type]
        host = rig.loopback()
        self.address = f"{host}:{self._server.add_insecure_port(f'{host}:0')}"
        self._server.start()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        method = details.method.rpartition("/")[2]
        handler: Handler = self._health
        if method != "Check":
            with self._lock:
                handler = self.script[min(len(self.calls), len(self.script) - 1)]
                self.calls.append(method)
                self.tokens.append(str(dict(details.invocation_metadata).get("authorization", "")))
        return grpc.unary_unary_rpc_method_handler(lambda _, context: handler(context))

    def _health(self, _: grpc.ServicerContext) -> bytes:
        self.probes += 1
        return b"\x08\x01"

    def stop(self) -> None:
        self._server.stop(None).wait()


def fail(code: grpc.StatusCode, reason: str = "", domain: str = "primatomic") -> Handler:
    """Return a handler that fails, with an ErrorInfo if there is a reason."""

    def handler(context: grpc.ServicerContext) -> bytes:
        if reason:
            status = Status(code=code.value[0], message="as told")
            packed = Packed()
            packed.Pack(ErrorInfo(reason=reason, domain=domain))
            status.details.append(packed)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, "as told")

    return handler


NOT_APPLIED = fail(grpc.StatusCode.UNAVAILABLE, "NOT_APPLIED")
UNAVAILABLE = fail(grpc.StatusCode.UNAVAILABLE)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def second() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


WRITES: dict[str, Callable[[Any], Any]] = {
    "CreateNamespace": lambda client: client.create_namespace("n"),
    "PutKey": lambda client: client.put_key("n", "k", b"v"),
    "DeleteKey": lambda client: client.delete_key("n", "k"),
    "CompareAndSwap": lambda client: client.compare_and_swap("n", "k", b"a", b"b"),
    "DropNamespace": lambda client: client.drop_namespace("n"),
}
READS: dict[str, Callable[[Any], Any]] = {
    "GetKey": lambda client: client.get_key("n", "k"),
    "ListKeys": lambda client: client.list_keys("n"),
    "ListNamespaces": lambda client: client.list_namespaces(),
    "GetNamespace": lambda client: client.get_namespace("n"),
}


def test_every_call_is_listed() -> None:
    methods = {method.name for method in pb.DESCRIPTOR.services_by_name["KeyValue"].methods}
    assert methods == {*WRITES, *READS}


async def test_what_is_refused_is_sent_again(kind: Kind, server: Server) -> None:
    server.script = [NOT_APPLIED, NOT_APPLIED, DONE]
    async with Opened(kind, server.address, insecure=True) as client:
        for method, call in {**WRITES, **READS}.items():
            server.calls.clear()
            await of(call(client))
            assert server.calls == [method] * 3


@pytest.mark.parametrize(
    "handler",
    [
        UNAVAILABLE,
        fail(grpc.StatusCode.UNAVAILABLE, "NOT_APPLIED", domain="somebody.else"),
        fail(grpc.StatusCode.UNAVAILABLE, "ANOTHER_REASON"),
        fail(grpc.StatusCode.DEADLINE_EXCEEDED, "UNCERTAIN"),
        fail(grpc.StatusCode.INTERNAL, "INTERNAL"),
        fail(grpc.StatusCode.UNKNOWN),
        fail(grpc.StatusCode.CANCELLED),
    ],
    ids=["bare", "foreign", "another", "uncertain", "internal", "unknown", "cancelled"],
)
async def test_a_write_that_may_be_applied_is_sent_once(
    kind: Kind, server: Server, second: Server, handler: Handler
) -> None:
    server.script = second.script = [handler]
    async with Opened(kind, [server.address, second.address], insecure=True) as client:
        for method, call in WRITES.items():
            with pytest.raises(primatomic.Error) as caught:
                await of(call(client))
            assert caught.value.outcome_unknown and not caught.value.not_applied
            assert server.calls + second.calls == [method], "one server has got it, once"
            server.calls.clear()
            second.calls.clear()


@pytest.mark.parametrize("handler", [UNAVAILABLE, fail(grpc.StatusCode.DEADLINE_EXCEEDED, "UNCERTAIN")])
async def test_a_read_goes_on_elsewhere(kind: Kind, server: Server, second: Server, handler: Handler) -> None:
    server.script = [handler]
    async with Opened(kind, [server.address, second.address], insecure=True) as client:
        for call in READS.values():
            await of(call(client))
    assert (server.calls, second.calls) == (["GetKey"], [*READS]), "the first one has moved them all"


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAUTHENTICATED]
)
async def test_what_is_refused_for_a_reason_is_sent_once(kind: Kind, server: Server, code: grpc.StatusCode) -> None:
    server.script = [fail(code, "BECAUSE")]
    async with Opened(kind, server.address, insecure=True) as client:
        for call in [*WRITES.values(), *READS.values()]:
            with pytest.raises(primatomic.Error) as caught:
                await of(call(client))
            assert (caught.value.code, caught.value.reason, caught.value.details) == (code, "BECAUSE", "as told")
            assert not caught.value.outcome_unknown
    assert len(server.calls) == len(WRITES) + len(READS)


async def test_refusals_end_with_the_deadline(kind: Kind, server: Server, second: Server) -> None:
    server.script = second.script = [NOT_APPLIED]
    async with Opened(kind, [server.address, second.address], insecure=True, timeout=0.5) as client:
        with pytest.raises(primatomic.Unavailable) as caught:
            await of(client.put_key("n", "k", b"v"))
    assert caught.value.not_applied and server.calls and second.calls


async def test_no_answer(kind: Kind, server: Server, second: Server) -> None:
    """A write that is not answered in time is sent once. The next call finds another node, if this one is silent."""
    over = threading.Event()
    server.script = [lambda _: b"late" if over.wait(60) else b"never"]
    async with Opened(kind, [server.address, second.address], insecure=True) as client:
        with pytest.raises(primatomic.DeadlineExceeded) as caught:
            await of(client.put_key("n", "k", b"v", timeout=0.3))
        assert caught.value.outcome_unknown and second.calls == []
        await of(client.put_key("n", "k", b"v"))
        over.set()
    assert server.calls == second.calls == ["PutKey"]


async def test_one_question_per_connection(kind: Kind, server: Server) -> None:
    """A node is asked about its health once, and not with every call."""
    async with Opened(kind, server.address, insecure=True) as client:
        await of(client.get_key("n", "k"))
        await of(client.get_key("n", "k"))
        asked = server.probes
        for _ in range(20):
            await of(client.put_key("n", "k", b"v"))
    assert server.probes - asked <= 1 and len(server.calls) == 22


async def test_a_reply_that_cannot_be_read(kind: Kind, server: Server) -> None:
    server.script = [lambda _: b"\xff\xff\xff"]
    async with Opened(kind, server.address, insecure=True) as client:
        with pytest.raises(primatomic.Internal) as caught:
            await of(client.put_key("n", "k", b"v"))
        assert caught.value.outcome_unknown
    assert server.calls == ["PutKey"]


async def test_details_that_cannot_be_read(kind: Kind, server: Server) -> None:
    def handler(context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "as told")

    server.script = [handler]
    async with Opened(kind, server.address, insecure=True) as client:
        with pytest.raises(primatomic.Unavailable) as caught:
            await of(client.put_key("n", "k", b"v"))
    assert caught.value.outcome_unknown and server.calls == ["PutKey"]


async def test_tokens_by_a_function(kind: Kind, server: Server) -> None:
    """The function is asked once, and again after the store has refused what it gave."""
    refused = fail(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_REFUSED")
    server.script = [DONE, DONE, refused, DONE]
    given = iter(["first", " second\n"])
    async with Opened(kind, server.address, insecure=True, jwt_token=lambda: next(given)) as client:
        await of(client.delete_key("n", "k"))
        await of(client.delete_key("n", "k"))
        with pytest.raises(primatomic.Unauthenticated):
            await of(client.delete_key("n", "k"))
        await of(client.delete_key("n", "k"))
        await of(client.delete_key("n", "k"))
    assert server.tokens == [*["Bearer first"] * 3, *["Bearer second"] * 2]


async def test_a_function_that_gives_no_token(kind: Kind, server: Server) -> None:
    def broken() -> str:
        raise OSError("no such file")

    functions: list[Callable[[], Any]] = [broken, lambda: "", lambda: None]
    for function in functions:
        async with Opened(kind, server.address, insecure=True, jwt_token=function) as client:
            with pytest.raises(primatomic.Unauthenticated, match=r"function that gives tokens"):
                await of(client.delete_key("n", "k"))
    assert server.calls == []


async def test_tokens_by_a_coroutine(server: Server) -> None:
    """Calls at one time ask once. A token that does not come is waited for until the deadline."""
    asked = 0

    async def slowly() -> str:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return "token"

    async with primatomic.AsyncClient(server.address, insecure=True, jwt_token=slowly) as client:
        await asyncio.gather(*(client.delete_key("n", "k") for _ in range(20)))
    assert asked == 1 and set(server.tokens) == {"Bearer token"}

    async def never() -> str:
        return await asyncio.Future()

    async with primatomic.AsyncClient(server.address, insecure=True, jwt_token=never) as client:
        with pytest.raises(primatomic.DeadlineExceeded) as caught:
            await client.delete_key("n", "k", timeout=0.1)
        assert caught.value.not_applied


def test_a_function_that_takes_too_long(server: Server) -> None:
    """A thread that waits while another asks for a token waits until its deadline."""
    asking, over = threading.Event(), threading.Event()

    def slowly() -> str:
        asking.set()
        over.wait(60)
        return "token"

    with primatomic.Client(server.address, insecure=True, jwt_token=slowly) as client:
        first = threading.Thread(target=lambda: client.delete_key("n", "k", timeout=60))
        first.start()
        asking.wait(60)
        with pytest.raises(primatomic.DeadlineExceeded) as caught:
            client.delete_key("n", "k", timeout=0.1)
        over.set()
        first.join()
    assert caught.value.not_applied and server.calls == ["DeleteKey"]


async def test_close_waits_for_calls(kind: Kind, server: Server) -> None:
    """A call that is under way when the client is closed gets its answer."""
    under_way, over = threading.Event(), threading.Event()

    def waits(_: grpc.ServicerContext) -> bytes:
        under_way.set()
        over.wait(60)
        return b""

    server.script = [waits, DONE]
    client = kind(server.address, insecure=True, timeout=60)
    call = aside(client.put_key, "n", "k", b"v")
    await asyncio.to_thread(under_way.wait, 60)
    closing = aside(client.close)
    with pytest.raises(primatomic.Cancelled):
        while True:  # until close has been heard of
            await of(client.list_namespaces())
            await asyncio.sleep(0)
    assert not call.done() and not closing.done()
    over.set()
    await asyncio.gather(call, closing)
    assert server.calls.count("PutKey") == 1


async def test_close_ends_what_has_yet_to_be_sent(kind: Kind, server: Server) -> None:
    refused = threading.Event()

    def refuse(context: grpc.ServicerContext) -> bytes:
        refused.set()
        return NOT_APPLIED(context)

    server.script = [refuse]
    client = kind(server.address, insecure=True, timeout=60)
    call = aside(client.put_key, "n", "k", b"v")
    await asyncio.to_thread(refused.wait, 60)
    await asyncio.gather(aside(client.close))
    with pytest.raises(primatomic.Cancelled) as caught:
        await call
    assert caught.value.not_applied
