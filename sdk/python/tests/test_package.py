"""What is shipped: generated code that fits the API, and a wheel with all of the package."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

import rig

HOME = rig.ROOT / "sdk" / "python"
SOURCES = HOME / "src" / "primatomic"


def test_generated_code_is_that_of_the_api(tmp_path: Path) -> None:
    subprocess.run([HOME / "generate.sh", tmp_path], check=True)
    for name in ("keyvalue_pb2.py", "keyvalue_pb2.pyi"):
        fresh = (tmp_path / "primatomic" / "v1" / name).read_text()
        assert fresh == (SOURCES / "v1" / name).read_text(), f"{name} is stale: run make proto"


@pytest.mark.skipif("PRIMATOMIC_WHEEL" not in os.environ, reason="make sdk-python builds the wheel")
def test_wheel_is_whole() -> None:
    with zipfile.ZipFile(os.environ["PRIMATOMIC_WHEEL"]) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("primatomic/")}
    written = {
        str(path.relative_to(SOURCES.parent))
        for path in SOURCES.rglob("*")
        if path.suffix in {".py", ".pyi", ".typed"} or path.name == "py.typed"
    }
    assert packed == written and "primatomic/py.typed" in packed
