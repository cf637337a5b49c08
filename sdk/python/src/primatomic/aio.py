"""The client for asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import TypeVar, overload

import grpc
import grpc.aio

from primatomic import _calls, _channel, _route, _token
from primatomic._calls import Call, NamespaceInfo
from primatomic.errors import NOT_APPLIED, Cancelled, DeadlineExceeded, Error, Unauthenticated, error_of

Result = TypeVar("Result")
Text = TypeVar("Text", str, bytes)


class AsyncClient:
    """Makes calls to a store from the tasks of one event loop: that which runs when the first call is made.

    It is the Client for asyncio: what is said there of calls, errors and arguments holds here. A task that is cancelled
    gives its call up; a write that was sent may be applied nevertheless.
    """

    def __init__(
        self,
        endpoints: str | Sequence[str],
        *,
        jwt_token: str | Callable[[], str | Awaitable[str]] | None = None,
        insecure: bool = False,
        tls_ca: _channel.File | None = None,
        tls_cert: _channel.File | None = None,
        tls_key: _channel.File | None = None,
        timeout: float = 5.0,
    ) -> None:
        """Make a client. It does not connect yet. The arguments are those of Client.

        The function that gives tokens may be a coroutine function. One that is not blocks the event loop.
        """
        names = _channel.endpoints_of(endpoints)
        self._credentials = _channel.credentials_of(insecure, tls_ca, tls_cert, tls_key)
        self._timeout = _channel.timeout_of(timeout, timeout)
        self._tokens = _Tokens(jwt_token)
        self._route = _route.Route(names)
        self._links: dict[int, _Link] = {}  # by endpoint
        self._running = 0  # calls
        self._ended = asyncio.Event()  # a call has
        self._closed = asyncio.Event()

    async def create_namespace(self, namespace: str, *, timeout: float | None = None) -> None:
        """Register a namespace to the credential of the token. AlreadyExists: it belongs to another one."""
        await self._call(_calls.create_namespace(namespace), timeout)

    async def get_key(
        self, namespace: str, key: str | bytes, *, stale: bool = False, timeout: float | None = None
    ) -> bytes:
        """Return a value. NotFound: there is no such key, or no such namespace."""
        return await self._call(_calls.get_key(namespace, key, stale), timeout)

    async def put_key(
        self,
        namespace: str,
        key: str | bytes,
        value: bytes | bytearray | memoryview,
        ttl_ms: int | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Write a value, whatever was there before. Without ttl_ms, or with 0, the key never expires."""
        await self._call(_calls.put_key(namespace, key, value, ttl_ms), timeout)

    async def delete_key(self, namespace: str, key: str | bytes, *, timeout: float | None = None) -> None:
        """Remove a key. Removing one that does not exist succeeds."""
        await self._call(_calls.delete_key(namespace, key), timeout)

    @overload
    async def list_keys(
        self,
        namespace: str,
        prefix: str = "",
        limit: int | None = None,
        *,
        start_after: str | bytes | None = None,
        stale: bool = False,
        timeout: float | None = None,
    ) -> list[str]: ...

    @overload
    async def list_keys(
        self,
        namespace: str,
        prefix: bytes,
        limit: int | None = None,
        *,
        start_after: str | bytes | None = None,
        stale: bool = False,
        timeout: float | None = None,
    ) -> list[bytes]: ...

    async def list_keys(
        self,
        namespace: str,
        prefix: str | bytes = "",
        limit: int | None = None,
        *,
        start_after: str | bytes | None = None,
        stale: bool = False,
        timeout: float | None = None,
    ) -> list[str] | list[bytes]:
        """Return keys in byte order: as str, or as bytes if the prefix is bytes.

        ResourceExhausted: the list does not fit into one answer (16 MiB). Take iter_keys.
        """
        if isinstance(prefix, bytes):
            return (await self._call(_calls.list_keys(namespace, prefix, limit, start_after, stale), timeout)).keys
        return (await self._call(_calls.list_keys(namespace, prefix, limit, start_after, stale), timeout)).keys

    @overload
    def iter_keys(
        self,
        namespace: str,
        prefix: str = "",
        *,
        start_after: str | bytes | None = None,
        page_size: int = 1000,
        stale: bool = False,
        timeout: float | None = None,
    ) -> AsyncIterator[str]: ...

    @overload
    def iter_keys(
        self,
        namespace: str,
        prefix: bytes,
        *,
        start_after: str | bytes | None = None,
        page_size: int = 1000,
        stale: bool = False,
        timeout: float | None = None,
    ) -> AsyncIterator[bytes]: ...

    def iter_keys(
        self,
        namespace: str,
        prefix: str | bytes = "",
        *,
        start_after: str | bytes | None = None,
        page_size: int = 1000,
        stale: bool = False,
        timeout: float | None = None,
    ) -> AsyncIterator[str] | AsyncIterator[bytes]:
        """Go through keys as list_keys does, and ask for a page of them at a time, each within timeout.

        A key that is written or removed meanwhile may be met or missed.
        """
        size = _calls.page_size_of(page_size)
        if isinstance(prefix, bytes):
            return self._pages(namespace, prefix, start_after, size, stale, timeout)
        return self._pages(namespace, prefix, start_after, size, stale, timeout)

    async def compare_and_swap(
        self,
        namespace: str,
        key: str | bytes,
        expected_value: bytes | bytearray | memoryview,
        new_value: bytes | bytearray | memoryview,
        *,
        timeout: float | None = None,
    ) -> bool:
        """Write new_value only if the current value equals expected_value, and tell whether that was so.

        An empty expected_value stands for a key that does not exist, or an empty value. The time to live stays.
        """
        return await self._call(_calls.compare_and_swap(namespace, key, expected_value, new_value), timeout)

    async def list_namespaces(self, *, stale: bool = False, timeout: float | None = None) -> list[str]:
        """Return the namespaces of the credential that the token may use."""
        return await self._call(_calls.list_namespaces(stale), timeout)

    async def get_namespace(
        self, namespace: str, *, stale: bool = False, timeout: float | None = None
    ) -> NamespaceInfo:
        """Describe a namespace. NotFound: it does not exist."""
        return await self._call(_calls.get_namespace(namespace, stale), timeout)

    async def drop_namespace(self, namespace: str, *, timeout: float | None = None) -> None:
        """Remove a namespace with all its keys. NotFound: it does not exist."""
        await self._call(_calls.drop_namespace(namespace), timeout)

    async def close(self) -> None:
        """Take no more calls, wait for those under way, which end in their time, and close the connections.

        Calls that come later raise Cancelled, as do those that have yet to be sent.
        """
        self._closed.set()
        try:
            while self._running > 0:
                self._ended.clear()
                await self._ended.wait()
        finally:
            links, self._links = list(self._links.values()), {}
            for link in links:
                await link.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"primatomic.AsyncClient({list(self._route.endpoints)!r})"

    async def _pages(
        self,
        namespace: str,
        prefix: Text,
        start_after: str | bytes | None,
        size: int,
        stale: bool,
        timeout: float | None,
    ) -> AsyncIterator[Text]:
        while True:
            page = await self._call(_calls.list_keys(namespace, prefix, size, start_after, stale), timeout)
            for key in page.keys:
                yield key
            start_after = page.next_start_after
            if not start_after:
                return

    async def _call(self, call: Call[Result], timeout: float | None) -> Result:
        """Make a call while the client is not closed."""
        deadline = self._route.clock() + _channel.timeout_of(timeout, self._timeout)
        self._running += 1
        try:
            return await self._attempt(call, deadline)
        except Error as error:
            # The traceback leads to the caller. Into the library it would keep connections in memory with the error.
            raise error.with_traceback(None)  # noqa: B904
        finally:
            self._running -= 1
            self._ended.set()

    async def _attempt(self, call: Call[Result], deadline: float) -> Result:
        """Make a call, and make it again where nothing can go wrong by that."""
        steps = self._route.attempts(call.reads, deadline, lambda at: self._link(at).ready)
        failure: Error | None = None
        while True:
            token = await self._tokens.get(deadline - self._route.clock())
            step = steps.send(failure)
            failure = None
            if isinstance(step, _route.Pause):
                await self._pause(step.seconds)
            elif isinstance(step, _route.Probe):
                failure = await self._link(step.endpoint).probe(step.timeout)
            else:
                reply = await self._link(step.endpoint).send(call, token, step.timeout)
                if isinstance(reply, bytes):
                    return call.result(reply)
                failure = reply
                if isinstance(failure, Unauthenticated):
                    self._tokens.refused(token)

    def _link(self, at: int) -> _Link:
        """Return the connection to an endpoint, a new one if there is none."""
        if self._closed.is_set():
            raise Cancelled("the client is closed", reason=NOT_APPLIED)
        link = self._links.get(at)
        if link is None:
            link = self._links[at] = _Link(self._route.endpoints[at], self._credentials)
        return link

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closed.wait(), seconds)


class _Link:
    """The connection to one endpoint, which gRPC makes when it is needed and makes again when it has broken."""

    def __init__(self, endpoint: str, credentials: grpc.ChannelCredentials | None) -> None:
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(endpoint, _channel.OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(endpoint, credentials, _channel.OPTIONS)
        self._probe: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_channel.HEALTH)
        self._lost = False

    @property
    def ready(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return not self._lost and self._channel.get_state() is grpc.ChannelConnectivity.READY

    async def probe(self, timeout: float) -> Error | None:
        """Connect if need be, and have the server answer. Return why it has not."""
        failure: Error | None = None
        try:
            await self._probe(b"", timeout=timeout)
        except grpc.aio.AioRpcError as error:
            failure = _channel.unreached(error_of(error))
        self._lost = failure is not None
        return failure

    async def send(self, call: Call[object], token: str | None, timeout: float) -> bytes | Error:
        """Send a call, once. Return the reply, or how it has failed."""
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(call.method)
        try:
            return await method(call.request, timeout=timeout, metadata=_channel.metadata_of(token, call.stale))
        except grpc.aio.AioRpcError as error:
            failure = error_of(error)
        if _channel.lost(failure):
            self._lost = True
        return failure

    async def close(self) -> None:
        await self._channel.close()


class _Tokens:
    """Gives calls the token to show."""

    def __init__(self, source: str | Callable[[], str | Awaitable[str]] | None) -> None:
        self._source = source if source is None or callable(source) else _token.tidy(source)
        self._lock = asyncio.Lock()
        self._token = _token.Token()

    async def get(self, timeout: float) -> str | None:
        """Return a token, None if there is none at all. It waits for one that is on its way, for so many seconds."""
        if not callable(self._source):
            return self._source
        token = self._token.current()
        if token is not None:
            return token
        try:
            return await asyncio.wait_for(self._ask(self._source), timeout)
        except Unauthenticated:
            raise
        except asyncio.TimeoutError:
            raise DeadlineExceeded(
                "no token has come before the time of the call was over", reason=NOT_APPLIED
            ) from None
        except Exception as cause:
            raise _token.failed(cause) from cause

    async def _ask(self, source: Callable[[], str | Awaitable[str]]) -> str:
        async with self._lock:
            token = self._token.current()
            if token is not None:
                return token
            given = source()
            return self._token.take(await given if inspect.isawaitable(given) else given)

    def refused(self, token: str | None) -> None:
        self._token.refused(token)
