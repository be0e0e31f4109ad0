"""The published operands: digests and densities of every step that `gscn publish-operands` makes.

Shown on docs/results/operands.md (`benchmarks.docs`). The command compares what it makes, or what a
copy has, with the digests of this page.
"""

from __future__ import annotations

import dataclasses
import resource
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.markdown import table
from benchmarks.pages import ROOT, Page, duration
from gscn.conv import Pass
from gscn.golden.operands.published import LICENCES, Index
from gscn.golden.operands.publishing import publish
from gscn.golden.operands.suite import STEPS, Step

INTRODUCTION = """# Published operands

Operands and results of every convolution in a training step, three methods on {networks} networks:
`gscn publish-operands --out build/operands` makes them again
([operands.md](../guides/operands.md)). The digest is that of the arrays of a step; the folder's
index has those of its files, and the densities of every layer.
"""
DENSITIES = """## Densities

Percent of nonzeros, all layers of a step together, of the first operand and the second one of each
pass. Forward: weights, inputs. Input gradient: weights, output gradients. Weight gradient: output
gradients, inputs. Shares of nonzeros are what this training has come to; networks that are trained
to the end have others.
"""


def make(steps: Sequence[Step] = tuple(STEPS.values())) -> dict[str, Any]:
    """Record all steps, and return what the page shows as plain JSON values."""
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    before = _children_seconds()
    with tempfile.TemporaryDirectory(dir=build) as place:
        index = publish(Path(place) / "operands", steps)
    return shown(index, _children_seconds() - before)


def _children_seconds() -> float:
    """Return the processor's time of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def shown(index: Index, seconds: float) -> dict[str, Any]:
    """Return what the page shows of an index.

    Parameters
    ----------
    index
        Of what was recorded.
    seconds
        Processor's time that recording took. One thread does it, so that it is the time that a
        machine takes with a core to spare.
    """
    traces = []
    for one in index.traces.values():
        fields = dataclasses.asdict(one)
        # These are of one version of the format of traces, and many.
        del fields["sha256"]
        fields["layers"] = len(one.layers)
        traces.append(fields)
    return {
        "made_with": dict(index.made_with),
        "licences": LICENCES,
        "traces": traces,
        "seconds": round(seconds),
    }


def render(data: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    traces = data["traces"]
    made = table(
        ("step", "layers", "images", "iterations before", "images seen", "MB", "SHA-256"),
        [
            (
                one["name"],
                str(one["layers"]),
                f"{one['images']}, {one['recipe']['batch_size']} at a time",
                str(one["iterations"]),
                f"{one['images_seen']:,}",
                f"{one['size_bytes'] / 1e6:.1f}",
                f"`{one['arrays_sha256']}`",
            )
            for one in traces
        ],
    )
    densities = table(
        ("step", *(f"{which}, {part}" for which in Pass for part in ("first", "second"))),
        [
            (
                one["name"],
                *(f"{100 * share:.1f}" for which in Pass for share in one["densities"][which]),
            )
            for one in traces
        ],
    )
    networks = len({one["recipe"]["network"] for one in traces})
    total = sum(one["size_bytes"] for one in traces) / 1e9
    versions = ", ".join(f"{name} {version}" for name, version in data["made_with"].items())
    licences = "\n".join(f"* {name}: {text}." for name, text in data["licences"].items())
    return (
        f"{INTRODUCTION.format(networks=networks)}\n{made}\n\n{total:.2f} GB together, made with "
        f"{versions} on an x86-64 processor, in {duration(data['seconds'])} of one core.\n\n"
        f"{DENSITIES}\n{densities}\n\n"
        f"## Licences\n\n{licences}\n"
    )


def quotes(data: dict[str, Any]) -> dict[str, str]:
    """Return figures by name, as texts take them."""
    return {
        "steps": str(len(data["traces"])),
        "time": duration(data["seconds"]),
        "gigabytes": f"{sum(one['size_bytes'] for one in data['traces']) / 1e9:.1f}",
    }


PAGE = Page(name="operands", make=make, render=render, parts=("training",), quotes=quotes)
