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


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts sockets in /proc")
async def test_nothing_is_left(kind: Kind, node: Node, space: str) -> None:
    """Clients that have worked, and such that have met with every kind of failure, leave no thread and no socket."""
    with socket.create_server((rig.loopback(), 0)) as silent:
        address = "{}:{}".format(*silent.getsockname())
        down = f"{rig.loopback()}:7379"

        async def work() -> None:
            async with Opened(kind, node.address, insecure=True) as client:
                await of(client.create_namespace(space))
                with pytest.raises(primatomic.NotFound):
                    await of(client.get_key(space, "k"))
            for endpoint, options in ((down, {"insecure": True}), (address, {"insecure": True}), (node.address, {})):
                async with Opened(kind, endpoint, timeout=0.1, **options) as client:
                    with pytest.raises(primatomic.Error):
                        await of(client.put_key(space, "k", b"v"))

        await work()  # gRPC keeps some threads of its own, once
        threads, before = threading.active_count(), sockets()
        for _ in range(5):
            await work()
        eventually("all threads have ended", lambda: threading.active_count() <= threads, within=30)
        eventually("all sockets are closed", lambda: len(sockets()) <= len(before), within=30)
