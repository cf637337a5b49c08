"""What is left behind: nothing."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

import primatomic
import rig
from rig import Kind, Node, Opened, eventually, of


def sockets() -> set[str]:
    """Return the sockets that this process has open."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            continue  # that was the directory's own
        if target.startswith("socket:"):
            found.add(target)
    return found


async def work(kind: Kind, node: Node, space: str, silent: str) -> None:
    """Use clients that meet with success, and such that meet with every kind of failure."""
    async with Opened(kind, node.address, insecure=True) as client:
        await of(client.create_namespace(space))
        with pytest.raises(primatomic.NotFound):
            await of(client.get_key(space, "k"))
    down = f"{rig.loopback()}:7379"
    for endpoint, options in ((down, {"insecure": True}), (silent, {"insecure": True}), (node.address, {})):
        async with Opened(kind, endpoint, timeout=0.1, **options) as client:
            with pytest.raises(primatomic.Error):
                await of(client.put_key(space, "k", b"v"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts sockets in /proc")
async def test_nothing_is_left(node: Node, space: str) -> None:
    kinds: list[Kind] = [primatomic.Client, primatomic.AsyncClient]
    with socket.create_server((rig.loopback(), 0)) as listener:
        silent = "{}:{}".format(*listener.getsockname())
        for kind in kinds:
            await work(kind, node, space, node.redis)  # gRPC keeps some threads and sockets of its own, once
        threads, before = threading.active_count(), len(sockets())
        for kind in kinds * 3:
            await work(kind, node, space, silent)
        eventually("all threads have ended", lambda: threading.active_count() <= threads, within=30)
        eventually("all sockets are closed", lambda: len(sockets()) <= before, within=30)
