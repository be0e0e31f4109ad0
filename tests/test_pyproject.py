"""The wheel has every room, and every file that a room reads."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from tests.test_structure import ALLOWED, NOT_INSTALLED, ROOT

SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
    "setuptools"
]


def installed(folder: PurePosixPath) -> str:
    """Return the name of the package that a folder of the repository becomes."""
    parts = folder.parts
    return ".".join(parts if parts[0] == "gscn" else ("gscn", *parts))


@pytest.fixture(scope="module")
def files():
    """Return the files of the rooms, as version control knows them."""
    rooms = [top for top in ALLOWED if top not in NOT_INSTALLED]
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *rooms]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no checkout of the repository")
    names = [PurePosixPath(name) for name in done.stdout.split()]
    return [name for name in names if (ROOT / Path(name)).is_file()]


def test_every_room_is_a_package_of_the_wheel(files):
    rooms = {installed(name.parent) for name in files if name.name == "__init__.py"}
    assert set(SETUPTOOLS["packages"]) == rooms


def test_every_file_that_is_no_source_is_data_of_its_package(files):
    packages, missing = set(SETUPTOOLS["packages"]), []
    for name in files:
        if name.suffix == ".py":
            continue
        room = next(folder for folder in name.parents if installed(folder) in packages)
        patterns = SETUPTOOLS["package-data"].get(installed(room), [])
        if not any(name.relative_to(room).match(pattern) for pattern in patterns):
            missing.append(str(name))
    assert missing == []


def test_every_pattern_of_data_has_a_file(files):
    for package, patterns in SETUPTOOLS["package-data"].items():
        own = [name for name in files if f"{installed(name.parent)}.".startswith(f"{package}.")]
        for pattern in patterns:
            assert any(name.match(pattern) for name in own), f"{package}: {pattern}"
