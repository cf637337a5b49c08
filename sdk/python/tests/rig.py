"""What the tests are made on: nodes of the real binary, certificates, tokens, and both clients under one roof."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import primatomic

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("PRIMATOMIC_BIN", ROOT / "bin" / "primatomic"))
START_TIMEOUT = 60.0

# What a log of a node must never say.
FAULTS = ("DATA RACE", "panic: ", "fatal error: ", "fault while a call was carried out", "a gRPC call panicked")

Kind = type[primatomic.Client] | type[primatomic.AsyncClient]


async def of(answer: Awaitable[T] | T) -> T:
    """Return the answer of either client."""
    return await answer if inspect.isawaitable(answer) else answer


async def all_of(keys: AsyncIterator[T] | Iterator[T]) -> list[T]:
    """Return what the iterator of either client yields."""
    if isinstance(keys, AsyncIterator):
        return [key async for key in keys]
    return list(keys)


def aside(call: Callable[..., Any], *arguments: Any) -> asyncio.Task[Any]:
    """Make a call of either client while the test goes on."""
    if inspect.iscoroutinefunction(call):
        return asyncio.create_task(call(*arguments))
    return asyncio.create_task(asyncio.to_thread(call, *arguments))


class Opened:
    """Either client, closed at the end."""

    def __init__(self, kind: Kind, endpoints: str | list[str], **options: Any) -> None:
        self.client = kind(endpoints, **options)

    async def __aenter__(self) -> Any:
        return self.client

    async def __aexit__(self, *_: object) -> None:
        await of(self.client.close())


def eventually(what: str, holds: Callable[[], bool], within: float = START_TIMEOUT) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + within
    tick = threading.Event()
    while not holds():
        assert time.monotonic() < end, f"within {within} s it was never true that {what}"
        tick.wait(0.005)


_loopbacks = itertools.count(1)


def loopback() -> str:
    """Return an address on loopback that no other node has, so that ports can be the ordinary ones."""
    pid = os.getpid()
    return f"127.{192 + pid // 256 % 60}.{pid % 256}.{next(_loopbacks) % 254 + 1}"


class Node:
    """A node: a data directory, and the process that runs on it. Its doors have an address of their own."""

    def __init__(self, directory: Path, *flags: str | Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.host = loopback()
        self.address = f"{self.host}:7379"
        self.redis = f"{self.host}:6379"
        self.directory = directory
        self.flags = flags
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start the process without waiting for it."""
        command = [
            *(BINARY, "serve", "--data-dir", self.directory / "data", "--http-addr", ""),
            *("--resp-addr", self.redis, "--grpc-addr", self.address, *self.flags),
        ]
        with (self.directory / "out").open("wb") as out, (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=out, stderr=log)

    def opened(self) -> None:
        """Wait until the doors are open."""
        out = self.directory / "out"
        eventually(f"the node at {self.host} is ready", lambda: self._running() and b" gRPC " in out.read_bytes())

    def _running(self) -> bool:
        assert self._process is not None and self._process.poll() is None, self._log()
        return True

    def _log(self) -> str:
        return (self.directory / "log").read_text()

    def start(self) -> Node:
        self.launch()
        self.opened()
        return self

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the process as kill -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End the process in good order."""
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(timeout=START_TIMEOUT) == 0

    def revive(self) -> None:
        """Let the node run that was stopped, killed or paused."""
        assert self._process is not None
        if self._process.poll() is None:
            self.signal(signal.SIGCONT)
        else:
            self.start()

    def end(self) -> None:
        """Kill the process if it still runs, and judge its log."""
        self.kill()
        log = self._log()
        assert not [fault for fault in FAULTS if fault in log], log


def fleet(directory: Path) -> list[Node]:
    """Start three nodes that are one cluster."""
    nodes = [Node(directory / f"n{i}") for i in (1, 2, 3)]
    secret = directory / "secret"
    secret.write_text("a secret of the fleets of these tests")
    founders = ",".join(f"{node.directory.name}={node.host}:8379" for node in nodes)
    for node in nodes:
        node.flags = (
            *("--name", node.directory.name, "--cluster", founders, "--peer-addr", f"{node.host}:8379"),
            *("--cluster-secret-file", secret, "--insecure"),
        )
        node.launch()
    for node in nodes:
        node.opened()
    leader(nodes)
    return nodes


def leader(nodes: list[Node]) -> Node:
    """Wait until one of the nodes leads, and return it."""
    found: list[Node] = []

    def leads() -> bool:
        for asked in nodes:
            told = re.search(r"led by (\S+)", run("cluster", "status", "--grpc-addr", asked.address, check=False))
            found.extend(node for node in nodes if told and node.directory.name == told[1])
        return bool(found)

    eventually("a node leads", leads)
    return found[0]


def run(*arguments: str | Path, check: bool = True) -> str:
    """Run the binary, and return what it says."""
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, check=check).stdout.strip()


def token(key: Path, credential: str, *flags: str) -> str:
    """Sign a token."""
    return run("token", "new", "--key", key, "--credential", credential, *flags)


def certificate(directory: Path, *names: str) -> tuple[Path, Path]:
    """Make a certificate that signs itself, for names such as IP:127.0.0.1. Return the files with it and its key."""
    directory.mkdir(exist_ok=True)
    cert, key = directory / "cert.pem", directory / "key.pem"
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
        *("-days", "1", "-subj", "/CN=primatomic test", "-addext", "subjectAltName=" + ",".join(names)),
        *("-out", str(cert), "-keyout", str(key)),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key
