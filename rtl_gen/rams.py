"""Modules of memories in generated Verilog, and others to put in their place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import Template

from gscn.hw.ram import PREFIX

MACROS = "GSCN_RAM_MACROS"
"""Macro of Verilog with which the modules of memories are left out: others are to be there."""
SUBARRAYS_FILE = "gscn_subarrays.v"
"""Name of the file with modules of subarrays, beside the Verilog."""
SUBARRAY_ROWS = 64
"""Rows of a subarray at most: a power of two. Macros of fewer rows are mostly what is around them
(`benchmarks.memory_energies`)."""

_MODULE = re.compile(
    rf"^module ({PREFIX}(\d+)x(\d+)(?:_by_(\d+))?)\(.*?^endmodule\n", re.MULTILINE | re.DOTALL
)

PORTS = """\
  input clk,
  input rst,  // nothing is reset
  input $addr_bits read__addr,
  input read__en,
  output $row_bits read__data,
  input $addr_bits write__addr,
  input $part_bits write__en,
  input $row_bits write__data
"""
"""Template of the ports of a module of memories (`port_texts`)."""
_HEAD = f"""\
// Memories of $module, configuration $digest, as subarrays of which one at most is read and
// one written in a cycle. To be used with the macro {MACROS} defined, or as an example of how
// memories of another make are put in: a module of the same name for each.
"""
_LEAF = Template(f"""\

module $name (
{PORTS});
  reg $row_bits rows [0:$last];
  reg $row_bits shown;
  assign read__data = shown;
  always @(posedge clk) begin
    if (read__en) shown <= rows[read__addr];
$writes
  end
endmodule
""")
_SPLIT = Template(f"""\

module $name (
{PORTS});
  wire $choice_bits reads = read__addr[$high:$low];
  wire $choice_bits writes = write__addr[$high:$low];
  reg $choice_bits shows;  // the subarray that was read last
$wires
  always @(posedge clk)
    if (read__en) shows <= reads;
  assign read__data =
$choices
$instances
endmodule
""")
_INSTANCE = Template("""\

  $leaf subarray$number (
    .clk(clk),
    .rst(rst),
    .read__addr(read__addr[$low_high:0]),
    .read__en(read__en && reads == $number),
    .read__data(found$number),
    .write__addr(write__addr[$low_high:0]),
    .write__en(write__en & {$parts{writes == $number}}),
    .write__data(write__data)
  );""")


@dataclass(frozen=True, kw_only=True, slots=True)
class RamModule:
    """A module of memories of one size (`hw.ram.RamRows`)."""

    module: str
    """Its name."""
    depth: int
    """Rows."""
    width: int
    """Bits of a row."""
    granularity: int
    """Bits that are written together."""


def ram_modules(text: str) -> tuple[RamModule, ...]:
    """Return the modules of memories in Verilog that `rtl_gen.verilog` wrote, by their sizes."""
    found = [
        RamModule(
            module=match[1],
            depth=int(match[2]),
            width=int(match[3]),
            granularity=int(match[4] or match[3]),
        )
        for match in _MODULE.finditer(text)
    ]
    return tuple(sorted(found, key=lambda one: (one.depth, one.width, one.granularity)))


def guarded(text: str) -> str:
    """Return Verilog whose modules of memories are left out where `MACROS` is defined."""
    return _MODULE.sub(lambda match: f"`ifndef {MACROS}\n{match[0]}`endif\n", text)


def subarrays_text(
    module: str, digest: str, rams: Sequence[RamModule], *, rows: int = SUBARRAY_ROWS
) -> str:
    """Return Verilog with all modules of memories, those of more rows made of subarrays.

    Parameters
    ----------
    module, digest
        Top module and configuration, for the head.
    rams
        Of the top module.
    rows
        Of a subarray, a power of two.
    """
    texts: dict[str, str] = {}
    for one in rams:
        texts |= rows_texts(one, rows)
    head = Template(_HEAD).substitute(module=module, digest=digest)
    return head + "".join(texts.values())


def rows_texts(ram: RamModule, rows: int) -> dict[str, str]:
    """Return the modules, by their names, of which a memory is made: itself, and a subarray.

    Parameters
    ----------
    ram
        The memory.
    rows
        Of a subarray, a power of two; a memory of no more has none.
    """
    if ram.depth <= rows:
        return {ram.module: _leaf(ram.module, ram.depth, ram)}
    parts = "" if ram.granularity == ram.width else f"_by_{ram.granularity}"
    leaf = f"gscn_subarray_{rows}x{ram.width}{parts}"
    return {ram.module: _split(ram, leaf, rows), leaf: _leaf(leaf, rows, ram)}


def bits_text(width: int) -> str:
    """Return the range of a vector of so many bits."""
    return f"[{width - 1}:0]"


def port_texts(depth: int, ram: RamModule) -> dict[str, str]:
    """Return what stands in `PORTS` for the ranges of vectors of a memory with so many rows."""
    return {
        "addr_bits": bits_text(max((depth - 1).bit_length(), 1)),
        "row_bits": bits_text(ram.width),
        "part_bits": bits_text(ram.width // ram.granularity),
    }


def _leaf(name: str, depth: int, ram: RamModule) -> str:
    """Return a module of rows."""
    writes = []
    for part in range(ram.width // ram.granularity):
        own = f"[{(part + 1) * ram.granularity - 1}:{part * ram.granularity}]"
        writes.append(f"    if (write__en[{part}]) rows[write__addr]{own} <= write__data{own};")
    return _LEAF.substitute(
        port_texts(depth, ram), name=name, last=depth - 1, writes="\n".join(writes)
    )


def _split(ram: RamModule, leaf: str, rows: int) -> str:
    """Return a module of subarrays, chosen by the high bits of an address."""
    count = -(-ram.depth // rows)
    low, high = rows.bit_length() - 1, (ram.depth - 1).bit_length() - 1
    parts = ram.width // ram.granularity
    numbers = range(count)
    choices = [f"    shows == {number} ? found{number} :" for number in numbers[:-1]]
    return _SPLIT.substitute(
        port_texts(ram.depth, ram),
        name=ram.module,
        high=high,
        low=low,
        choice_bits=bits_text(high - low + 1),
        wires="\n".join(f"  wire {bits_text(ram.width)} found{number};" for number in numbers),
        choices="\n".join([*choices, f"    found{count - 1};"]),
        instances="\n".join(
            _INSTANCE.substitute(leaf=leaf, number=number, low_high=low - 1, parts=parts)
            for number in numbers
        ),
    )
