"""Memories of a port each way that answer a cycle later: macros, or blocks of an FPGA."""

from __future__ import annotations

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from gscn.hw.arguments import need, need_number
from gscn.hw.shared import ModuleLibrary

PREFIX = "gscn_ram_"
"""How names of modules of memories begin; sizes follow."""


class Ram(Memory):
    """Keep rows of any shape; read one and write one in each cycle.

    In Verilog, all memories of a size are instances of one module, `RamRows`: to use a macro, put
    another module of its name in its place ("Memories of your own" in
    docs/contract/integration.md). So nothing here may need what macros do not promise: a row that
    is read in the cycle in which it is written may show anything, so may every row after power-up,
    and so may a read beyond the rows. What was read stays until the next read.

    Timing
    ------
    As of `RamRows`.

    Parameters
    ----------
    shape
        Of a row.
    depth
        Rows.
    granularity
        Bits that are written together, of a row of bits; by default a row.

    Attributes
    ----------
    read : amaranth.lib.memory.ReadPort
        Row to be read, unless `en` is low, and what it holds.
    write : amaranth.lib.memory.WritePort
        Row to be written, which parts of it, and what they are to hold.
    """

    LATENCY = 1

    def __init__(self, *, shape, depth: int, granularity: int | None = None):
        super().__init__(shape=shape, depth=depth, init=[])
        self.read, self.write = self.read_port(), self.write_port(granularity=granularity)

    def elaborate(self, platform):
        if not isinstance(platform, ModuleLibrary):
            return super().elaborate(platform)
        width = len(Value.cast(self.read.data))
        rows = RamRows(width=width, depth=self.depth, granularity=width // len(self.write.en))
        ports = {"read": self.read, "write": self.write}
        return platform.instance(
            rows.name,
            rows,
            {
                f"{way}__{name}": Value.cast(getattr(port, name))
                for way, port in ports.items()
                for name in ("addr", "en", "data")
            },
        )


def _write_signature(width: int, depth: int, granularity: int) -> wiring.Signature:
    """Return the ports by which a row, or parts of it, are written."""
    return wiring.Signature(
        {"addr": In(range(depth)), "en": In(width // granularity), "data": In(width)}
    )


class RamRows(wiring.Component):
    """The module of memories of a size, as simulators and FPGA tools read it.

    The attribute `no_rw_check` says that a row that is read while it is written may show anything:
    without it Yosys adds registers and multiplexers to a block RAM that does not promise the row as
    it was.

    Timing
    ------
    - Latency: `LATENCY` from `read.addr` to `read.data`, which stays while `read.en` is low.
    - Throughput: a row is read, and a row is written, in each cycle.
    - Combinational: none.
    - Reset: none, rows stay; outputs `read` undefined.

    Parameters
    ----------
    width
        Bits of a row.
    depth
        Rows.
    granularity
        Bits that are written together.

    Attributes
    ----------
    read : Out(wiring.Signature({"addr": In(range(depth)), "en": In(1), "data": Out(width)}))
        Row to be read, unless `en` is low, and what it holds.
    write : Out(_write_signature(width, depth, granularity))
        Row to be written, which parts of it, and what they are to hold.
    """

    LATENCY = Ram.LATENCY

    def __init__(self, *, width: int, depth: int, granularity: int):
        need_number(self, "depth", depth)
        need_number(self, "granularity", granularity)
        need(self, "granularity", granularity, width % granularity == 0, f"a divisor of {width}")
        self.width, self.depth, self.granularity = width, depth, granularity
        read = wiring.Signature({"addr": In(range(depth)), "en": In(1), "data": Out(width)})
        super().__init__(
            {"read": Out(read), "write": Out(_write_signature(width, depth, granularity))}
        )

    @property
    def name(self) -> str:
        """Name of the module."""
        parts = "" if self.granularity == self.width else f"_by_{self.granularity}"
        return f"{PREFIX}{self.depth}x{self.width}{parts}"

    def elaborate(self, platform):
        m = Module()
        m.submodules.stored = rows = Memory(
            shape=self.width, depth=self.depth, init=[], attrs={"no_rw_check": 1}
        )
        read, write = rows.read_port(), rows.write_port(granularity=self.granularity)
        m.d.comb += [
            read.addr.eq(self.read.addr),
            read.en.eq(self.read.en),
            self.read.data.eq(read.data),
            write.addr.eq(self.write.addr),
            write.en.eq(self.write.en),
            write.data.eq(self.write.data),
        ]
        return m
