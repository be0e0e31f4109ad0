"""Delays of a placed block by OpenSTA, with its wires and without."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gscn.errors import InputError
from gscn.rtl_gen.layout.block import Gate
from gscn.rtl_gen.layout.clocking import CLOCK
from gscn.rtl_gen.liberty import DRIVING_CELL, LOAD_PF

PERIOD_NS = 10.0
"""Of the clock while paths are looked for; no delay depends on it."""
NETLIST, WIRES, SCRIPT = "placed.v", "wires.spef", "timing.tcl"
_LINE = re.compile(r"^path (\S+) (\S+) (\S+) (\S+)$", re.MULTILINE)

_SCRIPT = """\
read_liberty {{{liberty}}}
read_verilog {netlist}
link_design {top}
create_clock -name {clock} -period {period} [get_ports {clock}]
set_propagated_clock [get_clocks {clock}]
set_driving_cell -lib_cell {driving_cell} [all_inputs]
set_load {load} [all_outputs]
{wires}
set reads [all_registers -data_pins]
set clocks [all_registers -clock_pins]
proc tell {{name paths}} {{
  foreach path $paths {{
    set from [get_property [get_property $path startpoint] full_name]
    set to [get_property [get_property $path endpoint] full_name]
    puts "path $name [get_property $path slack] $from $to"
  }}
}}
tell setup [find_timing_paths -path_delay max -from $clocks -to $reads]
tell hold [find_timing_paths -path_delay min -from $clocks -to $reads]
# Only now: with these the ports begin and end paths, too.
set ports {{}}
foreach port [all_inputs] {{
  if {{[get_property $port full_name] ne "{clock}"}} {{ lappend ports $port }}
}}
set_input_delay 0 -clock {clock} $ports
set_output_delay 0 -clock {clock} [all_outputs]
tell input [find_timing_paths -path_delay max -from $ports -to $reads]
tell output [find_timing_paths -path_delay max -from $clocks -to [all_outputs]]
tell through [find_timing_paths -path_delay max -from $ports -to [all_outputs]]
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class LongestPath:
    """The longest path of a kind."""

    delay_ns: float
    """Part of a clock period that it takes: set-up, clock-to-output and skew included."""
    start: str
    """Pin or port at which it begins."""
    end: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Longest paths of a block, and the tightest hold."""

    registers: LongestPath
    """From register to register: what the clock's period cannot be below."""
    hold_slack_ns: float
    """By which the shortest path from register to register misses the hold time if negative."""
    inputs: LongestPath | None
    """From a port to a register, counted from the clock's edge at its port; None: no such path."""
    outputs: LongestPath | None
    """From a register to a port, likewise."""
    through: LongestPath | None
    """From port to port."""

    @property
    def frequency_mhz(self) -> float:
        """Clock that its registers allow."""
        return 1e3 / self.registers.delay_ns


def netlist(
    gates: Mapping[str, Gate], name: str, inputs: Sequence[str], outputs: Sequence[str]
) -> str:
    """Return the Verilog of a block as it is placed.

    Parameters
    ----------
    gates
        Its cells by name.
    name
        Of the module.
    inputs, outputs
        Its ports.
    """
    lines = [f"module {name} ({', '.join((*inputs, *outputs))});"]
    lines += [f"input {port};" for port in inputs] + [f"output {port};" for port in outputs]
    for cell, gate in gates.items():
        pins = ", ".join(f".{pin}({net})" for pin, net in gate.pins.items())
        lines.append(f"{gate.kind} {cell} ({pins});")
    return "\n".join([*lines, "endmodule", ""])


def timing_script(top: str, liberty: Path, *, with_wires: bool) -> str:
    """Return what OpenSTA is to do with `NETLIST` and, with wires, `WIRES`.

    The clock's tree is part of both: its buffers take their time, and skew is in every path.

    Parameters
    ----------
    top
        Name of the module.
    liberty
        Standard cells.
    with_wires
        Whether wires have resistance and capacitance.
    """
    return _SCRIPT.format(
        liberty=liberty,
        netlist=NETLIST,
        top=top,
        clock=CLOCK,
        period=PERIOD_NS,
        driving_cell=DRIVING_CELL,
        load=LOAD_PF,
        wires=f"read_spef {WIRES}" if with_wires else "",
    )


def read_timing(log: str) -> Timing:
    """Read what OpenSTA wrote of `timing_script`.

    Raises
    ------
    InputError
        It has an error, or no path from register to register.
    """
    if error := re.search(r"^(Error|Warning): .*", log, re.MULTILINE):
        raise InputError(f"OpenSTA must accept its script, but says {error[0]!r}")
    slacks = {name: (float(slack), start, end) for name, slack, start, end in _LINE.findall(log)}
    if not {"setup", "hold"} <= set(slacks):
        raise InputError("a block must have a path from register to register")

    def longest(name: str) -> LongestPath | None:
        if name not in slacks:
            return None
        slack, start, end = slacks[name]
        return LongestPath(delay_ns=PERIOD_NS - slack, start=start, end=end)

    registers = longest("setup")
    assert registers is not None
    return Timing(
        registers=registers,
        hold_slack_ns=slacks["hold"][0],
        inputs=longest("input"),
        outputs=longest("output"),
        through=longest("through"),
    )
