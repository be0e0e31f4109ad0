"""How often each net of a netlist of cells changes, simulated with delays by Icarus Verilog.

Every gate is a continuous assignment with the delays of its library at its load, so that a gate
whose inputs change one after the other may change more than once in a cycle, unless that is shorter
than its delay. Outputs are compared with those of the component's Verilog in every cycle.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from gscn.errors import InputError, MismatchError
from gscn.rtl_gen.cells import CellLibrary
from gscn.rtl_gen.gates import Gates, Instance, Net, Timing
from gscn.system.cache import temporary_folder
from gscn.system.supervision import run_supervised

if TYPE_CHECKING:
    from gscn.rtl_gen.rams import RamModule

PERIOD_NS = 40.0
"""Of the clock: long enough for every path, so that nothing is cut off; energy is by cycle."""
ARRIVAL_NS = 0.2
"""From the clock's edge to a change of inputs: registers before them take about as long."""

_REGISTERS = """
module flip_flop (input clk, input d, output q);
  parameter real rise = 0, fall = 0;
  reg held = 0;
  always @(posedge clk) held <= d;
  assign #(rise, fall) q = held;
endmodule
module latch (input clk, input d, output q);
  parameter real rise = 0, fall = 0;
  reg held = 0;
  always @* if (clk) held = d;
  assign #(rise, fall) q = held;
endmodule
"""
_MEMORY = Template("""
module $module (
  input clk, input rst,
  input [$address:0] read__addr, input read__en, output reg [$row:0] read__data,
  input [$address:0] write__addr, input [$part:0] write__en, input [$row:0] write__data
);
  reg [$row:0] rows [0:$last];
  integer place, reads, writes;
  initial begin
    read__data = 0;
    for (place = 0; place <= $last; place = place + 1) rows[place] = 0;
  end
  always @(posedge clk) begin
    if (read__en) begin read__data <= rows[read__addr]; reads = reads + 1; end
    if (|write__en) writes = writes + 1;
$parts
  end
endmodule
""")
_BENCH = Template("""
`timescale 1ns/1ps
module bench;
  reg clk = 0;
  reg [$in:0] in = 0;
  wire [$out:0] out;
  reg [$in:0] inputs [0:$last];
  reg [$out:0] outputs [0:$last];
  integer cycle, wrong;
  gates dut (.clk(clk), .in(in), .out(out));
  initial begin
    wrong = 0;
    $$readmemh("inputs.hex", inputs);
    $$readmemh("outputs.hex", outputs);
    $$dumpfile("gates.vcd");
    in = inputs[0];
    for (cycle = 0; cycle <= $last; cycle = cycle + 1) begin
      #$low if (cycle >= $first && out !== outputs[cycle]) wrong = wrong + 1;
      if (cycle == $first) begin
$clears
        $$dumpvars(1, dut);
      end
      #$arrival clk = 1;
      #$arrival if (cycle < $last) in = inputs[cycle + 1];
      #$high clk = 0;
    end
    $$display("wrong %0d", wrong);
$counts
    $$finish;
  end
endmodule
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Stimulus:
    """What a component's ports do, cycle by cycle."""

    inputs: Sequence[int]
    """All inputs but the clock in a cycle, the first port in the lowest bits."""
    outputs: Sequence[int]
    """All outputs at its end, likewise."""
    first: int
    """Cycle from which on changes are counted."""
    products: int
    """From there on."""

    @property
    def cycles(self) -> int:
        """Cycles in which changes are counted."""
        return len(self.inputs) - self.first


@dataclass(frozen=True, kw_only=True, slots=True)
class Activity:
    """Changes that were counted."""

    rises: Mapping[Net, int]
    falls: Mapping[Net, int]
    reads: Mapping[tuple[str, ...], int]
    """Of each memory, by its path and module."""
    writes: Mapping[tuple[str, ...], int]


def netlist_verilog(gates: Gates, library: CellLibrary, times: Timing) -> str:
    """Return a module `gates` of the netlist: ports `clk`, `in`, `out`, and a wire per net.

    Parameters
    ----------
    gates
        The netlist.
    library
        Its cells.
    times
        Their delays, from `gscn.rtl_gen.gates.timing`.
    """
    entering, leaving = bits(gates.inputs, but="clk"), bits(gates.outputs)
    widths = f"input [{len(entering) - 1}:0] in, output [{len(leaving) - 1}:0] out"
    lines = [f"module gates (input clk, {widths});"]
    nets = {
        net for one in (*gates.cells, *gates.memories) for own in one.pins.values() for net in own
    }
    nets |= {*entering, *leaving}
    lines += [f"  wire n{net};" for net in sorted(one for one in nets if isinstance(one, int))]
    lines += [f"  assign {_name(net)} = in[{place}];" for place, net in enumerate(entering)]
    lines += [f"  assign {_name(gates.clock)} = clk;"]
    lines += [f"  assign out[{place}] = {_name(net)};" for place, net in enumerate(leaving)]
    for number, one in enumerate(gates.cells):
        lines += _cell_lines(number, one, library, times)
    for number, one in enumerate(gates.memories):
        pins = ", ".join(
            f".{pin}({{{', '.join(_name(net) for net in reversed(own))}}})"
            for pin, own in one.pins.items()
        )
        lines.append(f"  {one.kind} memory{number} ({pins});")
    return "\n".join([*lines, "endmodule", _REGISTERS, *map(_memory, gates.rams)])


def _name(net: Net) -> str:
    return f"n{net}" if isinstance(net, int) else f"1'b{net}"


def _cell_lines(number: int, one: Instance, library: CellLibrary, times: Timing) -> Iterable[str]:
    cell = library[one.kind]
    for pin, output in cell.outputs.items():
        if pin not in one.pins:
            continue
        net = one.pins[pin][0]
        rise, fall = times.delays[net]
        value = re.sub(r"\w+", lambda name: _name(one.pins[name[0]][0]), output.function)
        if cell.clock is None:
            yield f"  assign #({rise:.3f}, {fall:.3f}) {_name(net)} = {value};"
        else:
            clock = _name(one.pins[cell.clock][0])
            kind = "latch" if cell.latch else "flip_flop"
            yield (
                f"  {kind} #(.rise({rise:.3f}), .fall({fall:.3f})) f{number}_{pin} "
                f"({clock}, {value}, {_name(net)});"
            )


def _memory(ram: RamModule) -> str:
    parts = ram.width // ram.granularity
    writes = [
        f"    if (write__en[{part}]) rows[write__addr][{high - 1}:{low}] "
        f"<= write__data[{high - 1}:{low}];"
        for part in range(parts)
        for low, high in [(part * ram.granularity, (part + 1) * ram.granularity)]
    ]
    return _MEMORY.substitute(
        module=ram.module,
        address=max((ram.depth - 1).bit_length(), 1) - 1,
        row=ram.width - 1,
        part=parts - 1,
        last=ram.depth - 1,
        parts="\n".join(writes),
    )


def bits(ports: Mapping[str, tuple[Net, ...]], but: str = "") -> list[Net]:
    """Return the nets of ports, one after the other, as `Stimulus` has their values."""
    return [net for name, own in ports.items() if name != but for net in own]


def simulate(gates: Gates, library: CellLibrary, times: Timing, stimulus: Stimulus) -> Activity:
    """Return how often each net changed, and memories were read and written.

    Raises
    ------
    InputError
        Icarus Verilog is not installed, or does not take the netlist.
    MismatchError
        An output differs from the stimulus'.
    """
    for tool in ("iverilog", "vvp"):
        if shutil.which(tool) is None:
            raise InputError(f"simulation of gates needs {tool}: install Debian's iverilog")
    text = netlist_verilog(gates, library, times)
    with temporary_folder("gscn-synth-") as directory:
        (directory / "gates.v").write_text(_bench(gates, stimulus) + text, encoding="utf-8")
        for name, values in (("inputs", stimulus.inputs), ("outputs", stimulus.outputs)):
            lines = "".join(f"{value:x}\n" for value in values)
            (directory / f"{name}.hex").write_text(lines, encoding="utf-8")
        _call(["iverilog", "-g2012", "-s", "bench", "-o", "gates.vvp", "gates.v"], directory)
        said = _call(["vvp", "-n", "gates.vvp"], directory)
        found = dict(line.rsplit(" ", 1) for line in said.splitlines() if line)
        if found.get("wrong") != "0":
            raise MismatchError(
                f"outputs of gates must be the component's in every cycle, and differ in "
                f"{found.get('wrong')} of {stimulus.cycles}"
            )
        rises, falls = count_changes(directory / "gates.vcd")
    keys = [(*one.path, one.kind, str(number)) for number, one in enumerate(gates.memories)]
    return Activity(
        rises=rises,
        falls=falls,
        reads={key: int(found[f"reads {key[-1]}"]) for key in keys},
        writes={key: int(found[f"writes {key[-1]}"]) for key in keys},
    )


def _call(command: list[str], directory: Path) -> str:
    done = run_supervised(command, cwd=directory)
    if done.returncode:
        last = (done.stdout + done.stderr).strip().rpartition("\n")[2]
        raise InputError(f"{command[0]} must take the netlist, but ended with {last!r}")
    return done.stdout


def _bench(gates: Gates, stimulus: Stimulus) -> str:
    numbers = range(len(gates.memories))
    clears = [
        f"        dut.memory{number}.{what} = 0;" for number in numbers
        for what in ("reads", "writes")
    ]  # fmt: skip
    counts = [
        f'    $display("{what} {number} %0d", dut.memory{number}.{what});' for number in numbers
        for what in ("reads", "writes")
    ]  # fmt: skip
    half = PERIOD_NS / 2
    return _BENCH.substitute(
        **{"in": len(bits(gates.inputs, but="clk")) - 1},
        out=len(bits(gates.outputs)) - 1,
        last=len(stimulus.inputs) - 1,
        first=stimulus.first,
        arrival=ARRIVAL_NS,
        high=half - ARRIVAL_NS,
        low=half - ARRIVAL_NS,
        clears="\n".join(clears),
        counts="\n".join(counts),
    )


def count_changes(path: Path) -> tuple[dict[Net, int], dict[Net, int]]:
    """Return the rises and falls of nets `n1`, `n2` ... in a file of value changes.

    What is said between `$dumpvars` and its end is how values were, and no change.
    """
    codes: dict[Net, str] = {}
    counts: Counter[str] = Counter()
    with path.open(encoding="ascii") as lines:
        for line in lines:
            if line.startswith("$enddefinitions"):
                break
            found = re.match(r"\s*\$var \w+ 1 (\S+) n(\d+) ", line)
            if found:
                codes[int(found[2])] = found[1]
        for line in lines:
            if line.startswith("$dumpvars"):
                break
        for line in lines:
            if line.startswith("$end"):
                break
        counts.update(line for line in lines if line[0] in "01")
    rises, falls = (
        {net: counts[f"{edge}{code}\n"] for net, code in codes.items()} for edge in "10"
    )
    return rises, falls
