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


def run(gscn: Path, place: Path, *words: str) -> str:
    done = subprocess.run(
        [gscn, "-m", "gscn", *words],
        cwd=place,
        env={**os.environ, "PYTHONSAFEPATH": "1", "GSCN_BUILD_DIR": str(place / "cache")},
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
    words = ("estimate", "--network", "resnet20", "--batch", "1", "--mode", "analytic")
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
