"""Gates in the clock, of a library's latch: registers of one enable need no multiplexers."""

from __future__ import annotations

from pathlib import Path
from string import Template

from gscn.rtl_gen.cells import CellLibrary
from gscn.rtl_gen.yosys import Statistics

LEAST_GATED = 8
"""Flip-flops of one enable, fewer of which save less than a clock gate takes."""
_GATE = Template("""
module gscn_clock_gate (input en, input clk, output gated);
  wire held, low;
  assign low = ~clk;
  $latch latch (.$data(en), .$enable(low), .$held(held));
  assign gated = clk & held;
endmodule
""")
"""What lets a clock through that rises while `en` is high, whatever `en` does until it falls."""


def gate_commands(library: CellLibrary, directory: Path) -> tuple[str, ...]:
    """Return the commands that gate the clocks of gates and flip-flops, to be mapped next.

    Parameters
    ----------
    library
        Standard cells; without a latch nothing is gated.
    directory
        Where the commands run; the gate's Verilog is written there.
    """
    latch = library.latch
    if latch is None:
        return ()
    ((held, output),) = latch.outputs.items()
    text = _GATE.substitute(latch=latch.name, data=output.function, enable=latch.clock, held=held)
    (directory / "clock_gate.v").write_text(text, encoding="utf-8")
    return (
        "read_verilog clock_gate.v",
        f"clockgate -pos gscn_clock_gate en:clk:gated -min_net_size {LEAST_GATED}",
        "opt_clean",
        "techmap",
    )


def unsaid_area(mapped: Statistics, module: str, library: CellLibrary) -> float:
    """Return what latches take, square micrometres, of which the library does not say: flip-flops'.

    Parameters
    ----------
    mapped
        Of a design in cells.
    module
        Name of a module of it; what it contains is included.
    library
        Its cells.
    """
    latch = library.latch
    if latch is None or latch.area:
        return 0.0
    each = min(one.area for one in library.cells.values() if one.clock and not one.latch)
    return each * mapped.total_cells(module).get(latch.name, 0)
