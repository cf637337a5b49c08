"""Nodes and clients that tests ask for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

import primatomic
import rig


@pytest.fixture(params=[primatomic.Client, primatomic.AsyncClient], ids=["sync", "asyncio"])
def kind(request: pytest.FixtureRequest) -> rig.Kind:
    """Both clients."""
    chosen: rig.Kind = request.param
    return chosen


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[rig.Node]:
    """A node without authentication, for all tests."""
    node = rig.Node(tmp_path_factory.mktemp("node")).start()
    yield node
    node.end()


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The secret that tokens are signed with."""
    path = tmp_path_factory.mktemp("key") / "jwt.key"
    path.write_text("a secret with which tokens are signed in these tests")
    return path


_spaces = itertools.count(1)


@pytest.fixture
def space() -> str:
    """A name of a namespace that no other test has."""
    return f"space-{next(_spaces)}"


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[rig.Node]]:
    """Three nodes that are one cluster, for all tests."""
    nodes = rig.fleet(tmp_path_factory.mktemp("fleet"))
    yield nodes
    for node in nodes:
        node.end()


@pytest.fixture
def fleet(founded: list[rig.Node]) -> list[rig.Node]:
    """Three nodes that are one cluster, all of them up."""
    for node in founded:
        node.revive()
    rig.leader(founded)
    return founded
