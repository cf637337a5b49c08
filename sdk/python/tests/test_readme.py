"""The examples of the README, carried out as they are written, with the addresses of nodes that run here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rig

README = (rig.ROOT / "sdk" / "python" / "README.md").read_text()
EXAMPLES = {
    part.partition("\n")[0]: re.findall(r"```python\n(.*?)```", part, re.DOTALL)
    for part in README.split("\n## ")
    if "```python" in part
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder to run examples in, and what stands there for what they name: a local node, and one that is guarded."""
    folder = tmp_path_factory.mktemp("readme")
    local, guarded = rig.Node(folder / "local"), rig.Node(folder / "guarded")
    cert, private = rig.certificate(folder / "tls", f"IP:{guarded.host}")
    guarded.flags = ("--tls-cert", cert, "--tls-key", private, "--auth", "jwt", "--jwt-key", key)
    local.start()
    guarded.start()
    token = rig.token(key, "alice")
    (folder / "token.jwt").write_text(token + "\n")
    (folder / "ca.pem").write_text(cert.read_text())
    yield (
        folder,
        {
            "127.0.0.1:7379": local.address,
            "host:443": guarded.address,
            'jwt_token="..."': f'jwt_token="{token}"',
        },
    )
    local.end()
    guarded.end()


def promised(example: str) -> list[str]:
    """Return what an example says that it prints: behind a print, or in comments of their own at its end."""
    behind = re.findall(r"print\(.*\)  # (.*)$", example, re.MULTILINE)
    return behind + re.findall(r"^# (.*)$", example, re.MULTILINE)


@pytest.mark.parametrize("section", EXAMPLES)
def test_example(section: str, world: tuple[Path, dict[str, str]]) -> None:
    folder, here = world
    for example in EXAMPLES[section]:
        script = example
        for name, replacement in here.items():
            script = script.replace(name, replacement)
        environment = {**os.environ, "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(folder / "ca.pem")}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == promised(example)


def test_examples_are_found() -> None:
    assert len(EXAMPLES) == README.count("```python")
