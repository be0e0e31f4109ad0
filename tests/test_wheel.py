"""The package as others install it: a wheel, used far from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOMS = (
    *("system", "command", "lowering", "emulator", "cycles", "hw", "rtl_gen", "cosim", "golden"),
    "perf",
)
"""Folders of the repository whose names are common."""


@pytest.fixture(scope="module")
def gscn(repository, tmp_path_factory):
    """Install a wheel in an environment of its own; return its command."""
    place = tmp_path_factory.mktemp("wheel")
    # A build in the checkout would leave files there, and take those of an earlier one.
    checkout = place / "checkout"
    unwanted = shutil.ignore_patterns(".*", "build", "tests", "*.egg-info", "__pycache__")
    shutil.copytree(repository, checkout, ignore=unwanted, symlinks=False)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--wheel-dir", str(place), str(checkout)],
        check=True,
    )  # fmt: skip
    (wheel,) = place.glob("gscn-*.whl")
    home = place / "environment"
    venv.create(home, symlinks=True, with_pip=False)
    (packages,) = home.glob("lib/python*/site-packages")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--target", str(packages), str(wheel)],
        check=True,
    )  # fmt: skip
    # What it depends on is that of this environment, whose editable `gscn` comes later.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return home / "bin" / "python"


def run(gscn: Path, place: Path, *words: str, safe: bool = True) -> str:
    """Run the command in `place`, whose own modules come first unless it is `safe`."""
    environment = {**os.environ, "GSCN_BUILD_DIR": str(place / "cache")}
    environment.pop("PYTHONSAFEPATH", None)
    done = subprocess.run(
        [gscn, "-m", "gscn", *words],
        cwd=place,
        env=environment | ({"PYTHONSAFEPATH": "1"} if safe else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_is_that_of_the_wheel(gscn, tmp_path):
    program = "import gscn, sys; print(gscn.__file__)"
    command = [gscn, "-P", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(gscn.parents[1])
    assert run(gscn, tmp_path, "--version").startswith("gscn ")


def test_a_report_is_made_in_an_empty_folder(gscn, tmp_path):
    case = "resnet50-swat-80-32"
    out = run(gscn, tmp_path, "report", "--quick", "--only", case, "--out", "report")
    assert "ResNet-50, SWAT 80 %" in out
    assert (tmp_path / "report" / "report.html").is_file()


def test_a_network_is_estimated_in_an_empty_folder(gscn, tmp_path):
    words = ("estimate", "--model", "resnet20", "--batch", "1", "--mode", "analytic")
    run(gscn, tmp_path, *words, "--json", "estimate.json")
    assert json.loads((tmp_path / "estimate.json").read_text())["network"] == "resnet20"


@pytest.mark.parametrize("more", [(), ("--axi",)])
def test_verilog_is_generated_in_an_empty_folder(gscn, tmp_path, more):
    out = run(gscn, tmp_path, "generate", "--config", "tiny", "--out", "rtl", *more)
    assert "configuration" in out
    assert (tmp_path / "rtl" / "manifest.json").is_file()


def test_a_network_is_trained_in_an_empty_folder(gscn, tmp_path):
    words = ("train", "--method", "swat", "--epochs", "1", "--iterations", "2", "--out", "a.pt")
    assert "checkpoint: a.pt" in run(gscn, tmp_path, *words)


@pytest.mark.cosim
def test_a_pass_is_simulated_in_an_empty_folder(gscn, tmp_path):
    conv = ("--conv", "1,2,4,4,2,3,3", "--pass", "forward")
    assert "synthetic" in run(gscn, tmp_path, "cosim", "--config", "tiny", *conv)


@pytest.fixture
def taken(tmp_path):
    """Return a folder in which a user has modules called as folders of the repository are."""
    for name in ROOMS:
        if name == "perf":
            (tmp_path / "perf.py").write_text("NAME = 'mine'\n")
        else:
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("NAME = 'mine'\n")
    return tmp_path


def test_only_one_name_is_installed(gscn):
    (packages,) = gscn.parents[1].glob("lib/python*/site-packages")
    found = {path.name for path in packages.iterdir() if not path.name.endswith(".dist-info")}
    assert found - {"dependencies.pth", "bin", "__pycache__"} == {"gscn"}


def test_modules_of_the_user_are_left_alone(gscn, taken):
    program = f"""
import importlib
for name in {ROOMS}:
    assert importlib.import_module(name).NAME == "mine", name
    assert importlib.import_module("gscn." + name).__name__ == "gscn." + name
"""
    done = subprocess.run(
        [gscn, "-c", program], cwd=taken, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.cosim
def test_the_command_works_among_modules_of_the_user(gscn, taken):
    run(gscn, taken, "generate", "--config", "tiny", "--out", "made", safe=False)
    words = ("estimate", "--model", "resnet20", "--batch", "1", "--mode", "analytic")
    run(gscn, taken, *words, safe=False)
    words = ("train", "--method", "swat", "--epochs", "1", "--iterations", "2", "--out", "a.pt")
    run(gscn, taken, *words, safe=False)
    conv = ("--conv", "1,2,4,4,2,3,3", "--pass", "forward", "--workers", "1")
    assert "synthetic" in run(gscn, taken, "cosim", "--config", "tiny", *conv, safe=False)
