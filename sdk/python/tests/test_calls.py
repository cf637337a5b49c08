"""What calls do, with both clients."""

from __future__ import annotations

import threading

import pytest

import primatomic
from rig import Kind, Node, Opened, all_of, eventually, of


async def test_values(kind: Kind, node: Node, space: str) -> None:
    async with Opened(kind, node.address, insecure=True) as client:
        await of(client.create_namespace(space))
        await of(client.create_namespace(space))
        assert await of(client.put_key(space, "k", b"one")) is None
        assert await of(client.get_key(space, "k")) == b"one"
        await of(client.put_key(space, "k", bytearray(b"two")))
        await of(client.put_key(space, "empty", memoryview(b"")))
        assert await of(client.get_key(space, "k")) == b"two"
        assert await of(client.get_key(space, "empty", stale=True)) == b""
        await of(client.delete_key(space, "k"))
        await of(client.delete_key(space, "k"))
        with pytest.raises(primatomic.NotFound) as caught:
            await of(client.get_key(space, "k"))
        assert (caught.value.code.value[0], caught.value.reason) == (5, "NO_KEY")
        assert "does not exist" in str(caught.value) and caught.value.details in str(caught.value)


async def test_large_values(kind: Kind, node: Node, space: str) -> None:
    """Two values of 16 MiB in one request, and one in a reply."""
    one, two = bytes(16 << 20), b"x" * (16 << 20)
    async with Opened(kind, node.address, insecure=True, timeout=30) as client:
        await of(client.create_namespace(space))
        await of(client.put_key(space, "k", one))
        assert await of(client.compare_and_swap(space, "k", one, two))
        assert await of(client.get_key(space, "k")) == two
        await of(client.drop_namespace(space))


async def test_time_to_live(kind: Kind, node: Node, space: str) -> None:
    async with Opened(kind, node.address, insecure=True) as client:
        await of(client.create_namespace(space))
        await of(client.put_key(space, "short", b"v", ttl_ms=100))
        await of(client.put_key(space, "long", b"v", ttl_ms=3600000))
        await of(client.put_key(space, "forever", b"v", ttl_ms=0))
        with primatomic.Client(node.address, insecure=True) as watcher:
            eventually("a key has expired", lambda: watcher.list_keys(space) == ["forever", "long"])
        with pytest.raises(primatomic.NotFound):
            await of(client.get_key(space, "short"))


async def test_compare_and_swap(kind: Kind, node: Node, space: str) -> None:
    async with Opened(kind, node.address, insecure=True) as client:
        await of(client.create_namespace(space))
        swapped = client.compare_and_swap(namespace=space, key="k", expected_value=b"", new_value=b"1")
        assert await of(swapped) is True
        assert await of(client.compare_and_swap(space, "k", b"", b"2")) is False
        assert await of(client.compare_and_swap(space, "k", b"1", b"2")) is True
        assert await of(client.get_key(space, "k")) == b"2"


async def test_keys_of_any_bytes(kind: Kind, node: Node, space: str) -> None:
    """A key that is not UTF-8 goes out as it came in, as bytes and as text."""
    odd, plain = b"k\xff\x00", "k\N{GREEK SMALL LETTER LAMDA}"
    async with Opened(kind, node.address, insecure=True) as client:
        await of(client.create_namespace(space))
        await of(client.put_key(space, odd, b"odd"))
        await of(client.put_key(space, plain, b"plain"))
        assert await of(client.get_key(space, plain.encode())) == b"plain"
        assert await of(client.list_keys(space, b"k")) == [plain.encode(), odd]
        texts = await of(client.list_keys(space, "k"))
        assert texts == [plain, "k\udcff\x00"] and [await of(client.get_key(space, text)) for text in texts]
        assert await of(client.list_keys(space, texts[1])) == texts[1:]
        assert await of(client.list_keys(space, start_after=texts[0])) == texts[1:]
        await of(client.delete_key(space, texts[1]))
        assert await of(client.list_keys(space, b"")) == [plain.encode()]
        with pytest.raises(UnicodeEncodeError):
            await of(client.get_key(space, "\ud800"))


async def test_lists(kind: Kind, node: Node, space: str) -> None:
    async with Opened(kind, node.address, insecure=True) as client:
        await of(client.create_namespace(space))
        names = [f"user:{i:03}" for i in range(25)]
        for name in [*names, "other"]:
            await of(client.put_key(space, name, b""))
        assert await of(client.list_keys(space, prefix="user:", limit=100)) == names
        assert await of(client.list_keys(space, prefix="user:", limit=3)) == names[:3]
        assert await of(client.list_keys(space)) == ["other", *names]
        for size in (1, 5, 24, 25, 26):
            assert await all_of(client.iter_keys(space, "user:", page_size=size)) == names
        assert await all_of(client.iter_keys(space, b"user:", page_size=7)) == [name.encode() for name in names]
        assert await all_of(client.iter_keys(space, "user:", start_after=names[9], stale=True)) == names[10:]
        assert await all_of(client.iter_keys(space, "nothing")) == []


async def test_namespaces(kind: Kind, node: Node, space: str) -> None:
    async with Opened(kind, node.address, insecure=True) as client:
        with pytest.raises(primatomic.NotFound) as caught:
            await of(client.put_key(space, "k", b"v"))
        assert caught.value.reason == "NO_NAMESPACE"
        await of(client.create_namespace(space))
        await of(client.put_key(space, "key", b"value"))
        assert space in await of(client.list_namespaces())
        assert await of(client.get_namespace(space)) == primatomic.NamespaceInfo(space, keys=1, bytes=8, revision=1)
        await of(client.drop_namespace(space))
        for gone in (client.drop_namespace, client.get_namespace):
            with pytest.raises(primatomic.NotFound):
                await of(gone(space))
        with pytest.raises(primatomic.InvalidArgument):
            await of(client.drop_namespace("0"))


def test_threads(node: Node, space: str) -> None:
    """Many threads use one client: each increment counts once."""
    threads, increments = 8, 25
    with primatomic.Client(node.address, insecure=True, timeout=30) as client:
        client.create_namespace(space)
        client.put_key(space, "counter", b"0")

        def count() -> None:
            for _ in range(increments):
                while True:
                    value = client.get_key(space, "counter")
                    if client.compare_and_swap(space, "counter", value, b"%d" % (int(value) + 1)):
                        break

        running = [threading.Thread(target=count) for _ in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        assert client.get_key(space, "counter") == b"%d" % (threads * increments)
