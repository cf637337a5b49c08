"""Three nodes, of which one goes away under the client."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import primatomic
import rig
from rig import Kind, Node, Opened, aside, of

# Bounds what is waited for; a cluster has a new leader after a second.
PATIENCE = 60.0


class Writer:
    """Writes keys, each one once, and keeps account of what was answered."""

    def __init__(self, client: Any, space: str, name: str) -> None:
        self.client, self.space, self.name = client, space, name
        self.written: list[str] = []
        self.unknown: list[str] = []

    async def write(self, stop: asyncio.Event) -> None:
        """Write until the event is set."""
        for number in itertools.count():
            if stop.is_set():
                return
            key = f"{self.name}-{number:06}"
            try:
                await aside(self.client.put_key, self.space, key, key.encode())
                self.written.append(key)
            except primatomic.Error as error:
                assert error.outcome_unknown, f"a write was given up: {error!r}"
                self.unknown.append(key)

    def has_written(self, count: int) -> bool:
        return len(self.written) >= count


async def until(what: str, holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(rig.eventually, what, holds, PATIENCE)


async def check(client: Any, space: str, writers: list[Writer]) -> None:
    """What was answered is there; what is there beyond that has an unknown outcome; nothing took effect twice."""
    written = {key for writer in writers for key in writer.written}
    unknown = {key for writer in writers for key in writer.unknown}
    keys = set(await of(client.list_keys(space)))
    assert written <= keys, f"lost: {written - keys}"
    assert keys - written <= unknown
    for key in sorted(written)[::50]:
        assert await of(client.get_key(space, key)) == key.encode()
    info = await of(client.get_namespace(space))
    assert info.revision == info.keys == len(keys), "each key was written once, by one entry of the log"


async def crowd(client: Any, space: str, event: Callable[[], None]) -> list[Writer]:
    """Let some write while something happens, until all have written again after it."""
    stop = asyncio.Event()
    writers = [Writer(client, space, f"w{i}") for i in range(4)]
    tasks = [asyncio.create_task(writer.write(stop)) for writer in writers]
    try:
        await until("all write", lambda: all(writer.has_written(20) for writer in writers))
        await asyncio.to_thread(event)
        marks = [len(writer.written) + 20 for writer in writers]
        await until("all write again", lambda: all(map(Writer.has_written, writers, marks)))
    finally:
        stop.set()
    await asyncio.gather(*tasks)
    return writers


async def test_the_leader_is_killed(kind: Kind, fleet: list[Node], space: str) -> None:
    """The client is connected to the leader, whose process dies: at most what was under way has an unknown outcome."""
    led = rig.leader(fleet)
    endpoints = [led.address, *(node.address for node in fleet if node is not led)]
    async with Opened(kind, endpoints, insecure=True, timeout=30) as client:
        await of(client.create_namespace(space))
        writers = await crowd(client, space, led.kill)
        assert sum(len(writer.unknown) for writer in writers) <= len(writers)
        await check(client, space, writers)


async def test_another_leader_is_killed(kind: Kind, fleet: list[Node], space: str) -> None:
    """The client is connected to a node that follows: it stays there."""
    led = rig.leader(fleet)
    endpoints = [node.address for node in fleet if node is not led]
    async with Opened(kind, endpoints, insecure=True, timeout=30) as client:
        await of(client.create_namespace(space))
        writers = await crowd(client, space, led.kill)
        await check(client, space, writers)


async def test_nodes_are_restarted_in_turn(kind: Kind, fleet: list[Node], space: str) -> None:
    """Each node is stopped in good order and comes back, while the client writes now and then: no error at all."""
    async with Opened(kind, [node.address for node in fleet], insecure=True, timeout=30) as client:
        await of(client.create_namespace(space))
        for number, node in enumerate(fleet):
            await of(client.put_key(space, f"before-{number}", b""))
            await asyncio.to_thread(node.stop)
            await of(client.put_key(space, f"without-{number}", b""))
            assert await of(client.get_key(space, f"before-{number}")) == b""
            await asyncio.to_thread(node.start)
        info = await of(client.get_namespace(space))
        assert info.keys == info.revision == 6


async def test_a_node_is_silent(kind: Kind, fleet: list[Node], space: str) -> None:
    """A node stops answering without a word: at most one write runs into its deadline, later ones go elsewhere."""
    led = rig.leader(fleet)
    silent = next(node for node in fleet if node is not led)
    endpoints = [silent.address, *(node.address for node in fleet if node is not silent)]
    async with Opened(kind, endpoints, insecure=True, timeout=30) as client:
        await of(client.create_namespace(space))
        silent.signal(signal.SIGSTOP)
        try:
            await of(client.put_key(space, "a", b"", timeout=0.5))
        except primatomic.DeadlineExceeded as error:
            assert error.outcome_unknown
        for key in ("b", "c"):
            await of(client.put_key(space, key, b""))
        assert [key for key in await of(client.list_keys(space)) if key != "a"] == ["b", "c"]


async def test_no_majority(kind: Kind, fleet: list[Node], space: str) -> None:
    """One node of three is left. What needs no majority is answered, everything else raises in time."""
    left = rig.leader(fleet)
    async with Opened(kind, [node.address for node in fleet], insecure=True) as client:
        await of(client.create_namespace(space))
        await of(client.put_key(space, "k", b"v"))
        for node in fleet:
            if node is not left:
                node.kill()
        calls: list[Callable[[], Any]] = [
            lambda: client.put_key(space, "k", b"w", timeout=1),
            lambda: client.get_key(space, "k", timeout=1),  # the lease of the leader is over by now
        ]
        for call in calls:
            with pytest.raises((primatomic.Unavailable, primatomic.DeadlineExceeded)):
                await of(call())
        assert await of(client.get_key(space, "k", stale=True)) == b"v"


async def test_the_first_endpoint_is_down(kind: Kind, node: Node, space: str) -> None:
    endpoints = [f"{rig.loopback()}:7379", node.address]
    async with Opened(kind, endpoints, insecure=True) as client:
        await of(client.create_namespace(space))
        await of(client.put_key(space, "k", b"v"))
        assert await of(client.get_key(space, "k")) == b"v"


async def test_a_node_comes_back(kind: Kind, tmp_path: Path, space: str) -> None:
    """A call waits for the only node while that is away, within its deadline."""
    node = Node(tmp_path).start()
    async with Opened(kind, node.address, insecure=True, timeout=PATIENCE) as client:
        await of(client.create_namespace(space))
        node.kill()
        call = aside(client.put_key, space, "k", b"v")
        node.start()
        try:
            await call
        except primatomic.Unavailable as error:
            assert error.outcome_unknown  # it had been sent when the connection broke
        await of(client.put_key(space, "k", b"v"))
        assert await of(client.get_key(space, "k")) == b"v"
    node.end()
