"""Traces for other tools: each pass of each layer in a format that the tool itself reads."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from gscn.conv import Pass
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.golden.operands import scale_sim, stonne, timeloop
from gscn.golden.operands.matrices import Product, products
from gscn.golden.traces.trace import Trace
from gscn.system.files import new_folder, output_errors

Chosen = list[tuple[str, Pass]]


def _products(trace: Trace, chosen: Chosen) -> Iterator[Product]:
    for name, which in chosen:
        yield from products(name, trace.entry(name).shape, trace.load_pass(name, which))


def _scale_sim(trace: Trace, chosen: Chosen, folder: Path) -> None:
    scale_sim.write(_products(trace, chosen), folder)


def _stonne(trace: Trace, chosen: Chosen, folder: Path) -> None:
    stonne.write(_products(trace, chosen), folder)


def _timeloop(trace: Trace, chosen: Chosen, folder: Path) -> None:
    for name, which in chosen:
        timeloop.write(name, trace.entry(name).shape, trace.load_pass(name, which), folder)


TOOLS: Mapping[str, Callable[[Trace, Chosen, Path], None]] = MappingProxyType(
    {"scale-sim": _scale_sim, "timeloop": _timeloop, "stonne": _stonne}
)
"""What writes chosen passes of a trace into a folder, by the tool that reads them."""


@takes_text
def convert(
    trace: Trace,
    tool: str,
    out: Path,
    *,
    layers: Collection[str] | None = None,
    passes: Collection[Pass] | None = None,
) -> list[str]:
    """Write passes of a trace for a tool; the folder appears whole or not at all.

    Parameters
    ----------
    trace
        Read pass by pass.
    tool
        One of `TOOLS`.
    out
        Folder to make.
    layers, passes
        Which, in the trace's order; by default all that it has.

    Returns
    -------
    list of str
        Names of the files, below `out`.

    Raises
    ------
    InputError
        Unknown tool, layer or pass, or one that the layer does not have; `out` exists or cannot
        be written; a file of the trace is damaged.
    """
    if tool not in TOOLS:
        raise InputError(f"tool must be one of {', '.join(TOOLS)}, not {tool!r}")
    out = Path(out)
    if out.exists():
        raise InputError(f"folder of converted operands must not exist yet: {out}")
    for name in layers or ():
        trace.entry(name)
    chosen = [
        (name, which)
        for name, entry in trace.entries.items()
        if layers is None or name in layers
        for which in Pass
        if which in (entry.densities if passes is None else passes)
    ]
    if not chosen:
        raise InputError("layers and passes must be at least one")
    with new_folder(out) as place, output_errors("a folder", out):
        TOOLS[tool](trace, chosen, place)
        place.rename(out)
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
