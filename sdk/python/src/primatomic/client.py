"""The client that blocks until a call is answered."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TypeVar, overload

import grpc

from primatomic import _calls, _channel, _route, _token
from primatomic._calls import Call, NamespaceInfo
from primatomic.errors import NOT_APPLIED, Cancelled, DeadlineExceeded, Error, Unauthenticated, error_of

Result = TypeVar("Result")
Text = TypeVar("Text", str, bytes)


class Client:
    """Makes calls to a store. Any number of threads may use one client.

    It connects when it has to, uses one of its endpoints at a time, and goes on at another one when that is gone. A
    call returns or raises an Error within its timeout. Close the client, or use it as a context manager.
    """

    def __init__(
        self,
        endpoints: str | Sequence[str],
        *,
        jwt_token: str | Callable[[], str] | None = None,
        insecure: bool = False,
        tls_ca: _channel.File | None = None,
        tls_cert: _channel.File | None = None,
        tls_key: _channel.File | None = None,
        timeout: float = 5.0,
    ) -> None:
        """Make a client. It does not connect yet.

        Args:
            endpoints: one "host:port", or several nodes of one cluster. The first that answers is used.
            jwt_token: the JSON Web Token to show, or a function that returns one. The function is called for the first
                call, 30 s before the token that it gave expires, and after the store has refused it; in the time of
                the call that needs it, by one thread at a time.
            insecure: connect without TLS, for a local node. Everyone on the way can read and change what is sent, the
                token included.
            tls_ca: file with authorities to trust, in PEM, in place of those that come with grpcio.
            tls_cert: file with a certificate to show, in PEM.
            tls_key: file with its key, in PEM.
            timeout: seconds that a call has that does not say so itself.

        Raises:
            ValueError: arguments do not fit together, or one is malformed.
            OSError: a file cannot be read, or (ssl.SSLError) does not hold what it should.
        """
        names = _channel.endpoints_of(endpoints)
        self._credentials = _channel.credentials_of(insecure, tls_ca, tls_cert, tls_key)
        self._timeout = _channel.timeout_of(timeout, timeout)
        self._tokens = _Tokens(jwt_token)
        self._route = _route.Route(names)
        self._lock = threading.Condition()
        self._links: dict[int, _Link] = {}  # by endpoint; guarded by _lock
        self._running = 0  # calls; guarded by _lock
        self._closed = threading.Event()  # set under _lock

    def create_namespace(self, namespace: str, *, timeout: float | None = None) -> None:
        """Register a namespace to the credential of the token.

        Asking again succeeds and changes nothing.

        Raises:
            AlreadyExists: it belongs to another credential.
        """
        self._call(_calls.create_namespace(namespace), timeout)

    def get_key(self, namespace: str, key: str | bytes, *, stale: bool = False, timeout: float | None = None) -> bytes:
        """Return a value.

        Args:
            stale: take what the node's memory holds, which may be older than what was acknowledged. Needs no leader.

        Raises:
            NotFound: the key does not exist or has expired (reason NO_KEY), or the namespace does not (NO_NAMESPACE).
        """
        return self._call(_calls.get_key(namespace, key, stale), timeout)

    def put_key(
        self,
        namespace: str,
        key: str | bytes,
        value: bytes | bytearray | memoryview,
        ttl_ms: int | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        """Write a value, whatever was there before.

        Args:
            ttl_ms: milliseconds until the key expires. None or 0: never, an earlier time to live is dropped.
        """
        self._call(_calls.put_key(namespace, key, value, ttl_ms), timeout)

    def delete_key(self, namespace: str, key: str | bytes, *, timeout: float | None = None) -> None:
        """Remove a key. Removing one that does not exist succeeds."""
        self._call(_calls.delete_key(namespace, key), timeout)

    @overload
    def list_keys(
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
    def list_keys(
        self,
        namespace: str,
        prefix: bytes,
        limit: int | None = None,
        *,
        start_after: str | bytes | None = None,
        stale: bool = False,
        timeout: float | None = None,
    ) -> list[bytes]: ...

    def list_keys(
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

        A key that is not UTF-8 has surrogates in the place of its odd bytes (the error handler surrogateescape); every
        call takes it so.

        Args:
            prefix: only keys that begin with this.
            limit: so many keys at most. None or 0: all.
            start_after: only keys behind this one.
            stale: take what the node's memory holds, which may be older than what was acknowledged. Needs no leader.

        Raises:
            ResourceExhausted: the list does not fit into one answer (16 MiB). Take iter_keys.
        """
        if isinstance(prefix, bytes):
            return self._call(_calls.list_keys(namespace, prefix, limit, start_after, stale), timeout).keys
        return self._call(_calls.list_keys(namespace, prefix, limit, start_after, stale), timeout).keys

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
    ) -> Iterator[str]: ...

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
    ) -> Iterator[bytes]: ...

    def iter_keys(
        self,
        namespace: str,
        prefix: str | bytes = "",
        *,
        start_after: str | bytes | None = None,
        page_size: int = 1000,
        stale: bool = False,
        timeout: float | None = None,
    ) -> Iterator[str] | Iterator[bytes]:
        """Go through keys as list_keys does, and ask for a page of them at a time, each within timeout.

        A key that is written or removed meanwhile may be met or missed.
        """
        size = _calls.page_size_of(page_size)
        if isinstance(prefix, bytes):
            return self._pages(namespace, prefix, start_after, size, stale, timeout)
        return self._pages(namespace, prefix, start_after, size, stale, timeout)

    def compare_and_swap(
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

        Raises:
            FailedPrecondition: the value is not a string.
        """
        return self._call(_calls.compare_and_swap(namespace, key, expected_value, new_value), timeout)

    def list_namespaces(self, *, stale: bool = False, timeout: float | None = None) -> list[str]:
        """Return the namespaces of the credential that the token may use.

        First come the databases "0" to "15" that have been written to, then the named ones in byte order.
        """
        return self._call(_calls.list_namespaces(stale), timeout)

    def get_namespace(self, namespace: str, *, stale: bool = False, timeout: float | None = None) -> NamespaceInfo:
        """Describe a namespace.

        Raises:
            NotFound: it does not exist.
        """
        return self._call(_calls.get_namespace(namespace, stale), timeout)

    def drop_namespace(self, namespace: str, *, timeout: float | None = None) -> None:
        """Remove a namespace with all its keys.

        Raises:
            NotFound: it does not exist.
            InvalidArgument: it is one of the databases "0" to "15".
        """
        self._call(_calls.drop_namespace(namespace), timeout)

    def close(self) -> None:
        """Take no more calls, wait for those under way, which end in their time, and close the connections.

        Calls that come later raise Cancelled, as do those that have yet to be sent.
        """
        with self._lock:
            self._closed.set()
            self._lock.wait_for(lambda: self._running == 0)
            links, self._links = list(self._links.values()), {}
        for link in links:
            link.leave()
        for link in links:
            link.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"primatomic.Client({list(self._route.endpoints)!r})"

    def _pages(
        self,
        namespace: str,
        prefix: Text,
        start_after: str | bytes | None,
        size: int,
        stale: bool,
        timeout: float | None,
    ) -> Iterator[Text]:
        while True:
            page = self._call(_calls.list_keys(namespace, prefix, size, start_after, stale), timeout)
            yield from page.keys
            start_after = page.next_start_after
            if not start_after:
                return

    def _call(self, call: Call[Result], timeout: float | None) -> Result:
        """Make a call while the client is not closed."""
        deadline = self._route.clock() + _channel.timeout_of(timeout, self._timeout)
        with self._lock:
            self._running += 1
        try:
            return self._attempt(call, deadline)
        except Error as error:
            # The traceback leads to the caller. Into the library it would keep connections in memory with the error.
            raise error.with_traceback(None)  # noqa: B904
        finally:
            with self._lock:
                self._running -= 1
                self._lock.notify_all()

    def _attempt(self, call: Call[Result], deadline: float) -> Result:
        """Make a call, and make it again where nothing can go wrong by that."""
        steps = self._route.attempts(call.reads, deadline, lambda at: self._link(at).ready)
        failure: Error | None = None
        while True:
            token = self._tokens.get(deadline - self._route.clock())
            step = steps.send(failure)
            failure = None
            if isinstance(step, _route.Pause):
                self._closed.wait(step.seconds)
            elif isinstance(step, _route.Probe):
                failure = self._link(step.endpoint).probe(step.timeout)
            else:
                reply = self._link(step.endpoint).send(call, token, step.timeout)
                if isinstance(reply, bytes):
                    return call.result(reply)
                failure = reply
                if isinstance(failure, Unauthenticated):
                    self._tokens.refused(token)

    def _link(self, at: int) -> _Link:
        """Return the connection to an endpoint, a new one if there is none."""
        with self._lock:
            if self._closed.is_set():
                raise Cancelled("the client is closed", reason=NOT_APPLIED)
            link = self._links.get(at)
            if link is None:
                link = self._links[at] = _Link(self._route.endpoints[at], self._credentials)
            return link


class _Link:
    """The connection to one endpoint, which gRPC makes when it is needed and makes again when it has broken."""

    def __init__(self, endpoint: str, credentials: grpc.ChannelCredentials | None) -> None:
        if credentials is None:
            self._channel = grpc.insecure_channel(endpoint, _channel.OPTIONS)
        else:
            self._channel = grpc.secure_channel(endpoint, credentials, _channel.OPTIONS)
        self._probe: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_channel.HEALTH)
        self.ready = False
        """Whether there is a connection, as far as is known."""
        self._channel.subscribe(self._changed)

    def _changed(self, state: grpc.ChannelConnectivity) -> None:
        self.ready = state is grpc.ChannelConnectivity.READY

    def probe(self, timeout: float) -> Error | None:
        """Connect if need be, and have the server answer. Return why it has not."""
        failure: Error | None = None
        try:
            self._probe(b"", timeout=timeout)
        except grpc.RpcError as error:
            failure = _channel.unreached(error_of(error))
        self.ready = failure is None
        return failure

    def send(self, call: Call[object], token: str | None, timeout: float) -> bytes | Error:
        """Send a call, once. Return the reply, or how it has failed."""
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(call.method)
        try:
            return method(call.request, timeout=timeout, metadata=_channel.metadata_of(token, call.stale))
        except grpc.RpcError as error:
            failure = error_of(error)
        if _channel.lost(failure):
            self.ready = False
        return failure

    def leave(self) -> None:
        """Prepare to close. gRPC needs up to 0.2 s for that, which connections may spend together."""
        self._channel.unsubscribe(self._changed)

    def close(self) -> None:
        self._channel.close()


class _Tokens:
    """Gives calls the token to show."""

    def __init__(self, source: str | Callable[[], str] | None) -> None:
        self._source = source if source is None or callable(source) else _token.tidy(source)
        self._lock = threading.Lock()
        self._token = _token.Token()  # guarded by _lock

    def get(self, timeout: float) -> str | None:
        """Return a token, None if there is none at all. It waits for other threads that ask, for so many seconds."""
        if not callable(self._source):
            return self._source
        if not self._lock.acquire(timeout=max(0.0, timeout)):
            raise DeadlineExceeded("no token has come before the time of the call was over", reason=NOT_APPLIED)
        try:
            return self._token.current() or self._token.take(self._source())
        except Unauthenticated:
            raise
        except Exception as cause:
            raise _token.failed(cause) from cause
        finally:
            self._lock.release()

    def refused(self, token: str | None) -> None:
        self._token.refused(token)  # not under the lock: the function that gives tokens may take its time there
