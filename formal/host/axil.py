"""The register file: each access answered once, registers as the map has them."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Mux, Signal, Value

from formal.checker import Checker
from gscn.hw.host.axi_ports import Response
from gscn.hw.host.axil import RegisterFile, driven_of
from gscn.register import Access, Top
from gscn.registers import registers_of


@dataclass(frozen=True, kw_only=True, slots=True)
class _Taken:
    """What has been taken of a channel, and is not answered."""

    there: Signal
    word: Signal


class RegisterFileChecker(Checker):
    """Compare a `RegisterFile` with registers that are written and read as the map says.

    Nothing is assumed of the manager: it may take back what it offers.
    """

    CLAIMS = {
        "held": "an answer is held, unchanged, until it is taken",
        "once": "an access has one answer, after all that it consists of",
        "prompt": "an access that is complete is answered in the next cycle if no answer waits",
        "granted": "a channel takes what is offered unless it holds a word, which leaves with its "
        "access: if answers are taken within M cycles, one is offered at most M + 1 cycles after "
        "the last part of its access was taken",
        "stored": "a register has what was written last, byte by byte, or else its reset value",
        "written": "bits written to what acts are shown for one cycle, and no others",
        "write_response": "OKAY exactly if the offset is that of a register that may be written",
        "sampled": "a register is said to be read in the cycle in which its value is taken",
        "read_response": "a read has the register's value and OKAY, at other offsets 0 and SLVERR",
    }

    dut: RegisterFile

    def __init__(self, dut: RegisterFile, *, top: Top, **options) -> None:
        super().__init__(dut, **options)
        self._top = top

    def describe(self) -> None:
        """State what has been taken of accesses, and what is answered."""
        m, axil = self.m, self.dut.axil
        addr = self._taken("aw", axil.awvalid & axil.awready, axil.awaddr, flag="has_addr")
        data = self._taken("w", axil.wvalid & axil.wready, axil.wdata, flag="has_data")
        strobe = self._taken("strobe", axil.wvalid & axil.wready, axil.wstrb, flag="has_data")
        place = self._taken("ar", axil.arvalid & axil.arready, axil.araddr, flag="has_read")
        for one, name in (
            (addr, "write_addr"),
            (data, "write_data"),
            (strobe, "write_strobe"),
            (place, "read_addr"),
        ):
            self.invariant(one.word == self.probe.signal(name))
        self.claim(
            "granted",
            (axil.awready == ~addr.there)
            & (axil.wready == ~data.there)
            & (axil.arready == ~place.there),
        )
        writes, reads = Signal(), Signal()
        m.d.comb += [
            writes.eq(addr.there & data.there & (~axil.bvalid | axil.bready)),
            reads.eq(place.there & (~axil.rvalid | axil.rready)),
        ]
        for one, leaves in ((addr, writes), (data, writes), (strobe, writes), (place, reads)):
            with m.If(leaves):
                m.d.sync += one.there.eq(0)
        written, read = Signal(), Signal()
        m.d.sync += [written.eq(writes), read.eq(reads)]
        self._answers(written, read)
        enabled = Cat(bit.replicate(8) for bit in strobe.word)
        self._write(writes, written, addr.word, data.word, enabled)
        self._read(reads, read, place.word)
        self.reach(written & read & axil.bvalid & (axil.rdata != 0))

    def _taken(self, name: str, takes: Value, payload: Value, *, flag: str) -> _Taken:
        there, word = Signal(name=f"{name}_there"), Signal(len(payload), name=f"{name}_word")
        with self.m.If(takes):
            self.m.d.sync += [there.eq(1), word.eq(payload)]
        self.invariant(there == self.probe.signal(flag))
        return _Taken(there=there, word=word)

    def _answers(self, written: Value, read: Value) -> None:
        """State that each access has one answer, at once, which stays."""
        axil = self.dut.axil
        held, once, prompt = [], [], []
        for name, due, valid, ready, payload in (
            ("b", written, axil.bvalid, axil.bready, axil.bresp.as_value()),
            ("r", read, axil.rvalid, axil.rready, Cat(axil.rdata, axil.rresp.as_value())),
        ):
            waited, before = Signal(name=f"{name}_waited"), Signal(len(payload), name=f"{name}_was")
            self.m.d.sync += [waited.eq(valid & ~ready), before.eq(payload)]
            held.append(~waited | (valid & (payload == before)))
            once.append(~valid | waited | due)
            prompt.append(~due | valid)
        self.claim("held", Cat(held).all())
        self.claim("once", Cat(once).all())
        self.claim("prompt", Cat(prompt).all())

    def _write(
        self, writes: Value, written: Value, addr: Value, data: Value, enabled: Value
    ) -> None:
        """State what a write does to each register."""
        m, dut = self.m, self.dut
        stored, acts, known = [], [], []
        for register in registers_of(self._top):
            if not register.writable:
                continue
            here = writes & (addr == register.offset)
            known.append(addr == register.offset)
            value = Signal(len(data), name=f"is_{register.name}", init=register.reset or 0)
            bits = enabled & register.mask
            if register.access is Access.READ_WRITE:
                with m.If(here):
                    m.d.sync += value.eq((value & ~bits) | (data & bits))
                stored.append(getattr(dut.stored, register.name) == value)
            else:
                m.d.sync += value.eq(Mux(here, data & bits, 0))
                acts.append(getattr(dut.written, register.name) == value)
        self.claim("stored", Cat(stored).all())
        self.claim("written", Cat(acts).all())
        found = Signal(name="written_is_known")
        m.d.sync += found.eq(Cat(known).any())
        okay = dut.axil.bresp == Response.OKAY
        error = dut.axil.bresp == Response.SLVERR
        self.claim("write_response", ~written | Mux(found, okay, error))

    def _read(self, reads: Value, read: Value, addr: Value) -> None:
        """State what a read is answered with."""
        m, dut = self.m, self.dut
        driven = {register.name for register in driven_of(self._top)}
        value, known = Signal(len(dut.axil.rdata), name="sampled"), Signal(name="read_is_known")
        m.d.sync += [value.eq(0), known.eq(0)]
        sampled = []
        for register in registers_of(self._top):
            here = reads & (addr == register.offset) & register.readable
            sampled.append(getattr(dut.read, register.name) == here)
            source = dut.driven if register.name in driven else dut.stored
            if register.readable:
                with m.If(here):
                    one = getattr(source, register.name) & register.mask
                    m.d.sync += [value.eq(one), known.eq(1)]
        self.claim("sampled", Cat(sampled).all())
        okay, error = (dut.axil.rresp == one for one in (Response.OKAY, Response.SLVERR))
        self.claim("read_response", ~read | ((dut.axil.rdata == value) & Mux(known, okay, error)))
