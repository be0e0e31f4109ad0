"""Publishes operands: records steps, each in a process of its own, and writes their index."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from gscn.errors import InputError
from gscn.golden.operands.published import INDEX_NAME, Index, index_text, published_trace
from gscn.golden.operands.recorder import ENVIRONMENT, EXIT_REFUSED
from gscn.golden.operands.suite import Step
from gscn.golden.traces.trace import load_trace
from gscn.system.files import new_folder, output_errors
from gscn.system.supervision import run_supervised

PACKAGES = ("torch", "numpy", "scikit-learn", "pillow")
"""Whose versions decide the bytes: arithmetic, random numbers, images and their decoding."""

logger = logging.getLogger(__name__)


def publish(out: Path, steps: Sequence[Step], said: Callable[[str], None] = logger.info) -> Index:
    """Record steps below a folder, with an index; the folder appears whole or not at all.

    The same steps give the same bytes wherever and whenever, with the same versions of `PACKAGES`
    on an x86-64 processor (`golden.operands.recorder`).

    Parameters
    ----------
    out
        Folder to make.
    steps
        What to record; names must differ.
    said
        Called with a sentence after each step.

    Returns
    -------
    Index
        As written.

    Raises
    ------
    InputError
        `out` exists or cannot be written, or training diverges.
    """
    out = Path(out)
    if out.exists():
        raise InputError(f"folder of operands must not exist yet: {out}")
    if not steps or len({step.name for step in steps}) != len(steps):
        raise InputError("steps must be at least one, of different names")
    with new_folder(out) as place:
        traces = []
        for step in steps:
            start = time.perf_counter()
            _record(step, place.resolve() / step.name)
            traces.append(published_trace(step, load_trace(place / step.name)))
            size = traces[-1].size_bytes / 1e6
            said(f"{step.name}: {size:.1f} MB in {time.perf_counter() - start:.0f} s")
        index = Index(
            traces={one.name: one for one in traces},
            made_with={name: metadata.version(name) for name in PACKAGES},
        )
        with output_errors("a folder", out):
            (place / INDEX_NAME).write_text(index_text(index), encoding="utf-8")
            place.rename(out)
    return index


def _record(step: Step, out: Path) -> None:
    recipe = json.dumps(dataclasses.asdict(step.recipe))
    # -P: nothing is imported from the current directory.
    command = [sys.executable, "-P", "-m", "gscn.golden.operands.recorder"]
    done = run_supervised(
        [*command, str(out), recipe, str(step.iterations)],
        cwd=out.parent,
        env={**os.environ, **ENVIRONMENT},
    )
    if done.returncode == EXIT_REFUSED:
        raise InputError(f"step {step.name}: {done.stderr.strip().splitlines()[-1]}")
    if done.returncode:
        raise RuntimeError(f"step {step.name} ended with {done.returncode}: {done.stderr}")
