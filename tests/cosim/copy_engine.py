# amaranth: UnusedElaboratable=no
"""A component with the array's ports that copies memory: it tests the testbench itself.

A pass copies `samples` beats from `s_data` to `out_addr`. `shift` in its descriptor selects a
fault, one of those that the testbench must find.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.counters import COUNTERS_PER_CLUSTER
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR

FAULTS = (
    "none",
    "hang",
    "stray",
    "outside",
    "unaligned",
    "oversize",
    "early_idle",
    "withdraw",
    "count",
)
"""Faults by their number."""


def field_bits(name):
    low = 0
    for field in PASS_DESCRIPTOR.fields:
        if field.name == name:
            return slice(low, low + field.width)
        low += field.width
    raise KeyError(name)


class _Job:
    """What is left of a list, and of the pass under way."""

    def __init__(self, config):
        self.list = Signal(config.addr_width)
        self.passes = Signal(32)
        self.source = Signal(config.addr_width)
        self.target = Signal(config.addr_width)
        self.left = Signal(32)
        self.fault = Signal(8)

    def has(self, fault):
        return self.fault == FAULTS.index(fault)


class CopyEngine(wiring.Component):
    """Copy memory, one beat at a time."""

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        command = stream.Signature(config.addr_width + 8)
        super().__init__(
            {
                "start_list": In(stream.Signature(config.addr_width + 32)),
                "busy": Out(1),
                "pass_number": Out(32, init=0xFFFF_FFFF),
                "saturated": Out(1),
                "accumulator_overflow": Out(1),
                "nonfinite": Out(1),
                "error_code": Out(5),
                "error_pass": Out(32),
                "counter_addr": In(16),
                "counter_data": Out(48),
                "mem_read_cmd": Out(command),
                "mem_read_data": In(stream.Signature(config.mem_width, always_ready=True)),
                "mem_write_cmd": Out(command),
                "mem_write_data": Out(stream.Signature(config.mem_width + config.mem_bytes)),
                "mem_write_done": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        job = _Job(self.config)
        self._count(m, job.has("count"))
        m.d.comb += self.busy.eq(1)
        m.d.comb += self.saturated.eq(1)
        with m.FSM():
            self._fetch(m, job)
            self._copy(m, job)
            with m.State("HANG"):
                m.next = "HANG"
        return m

    def _count(self, m, miscounts):
        """Answer with the busy cycles, or with 1000 and the address of any other counter."""
        total = Signal(48)
        m.d.sync += total.eq(total + self.busy)
        # Two registers on the way: data are valid two cycles after the address.
        address = Signal(16)
        cluster_counters = self.config.clusters * COUNTERS_PER_CLUSTER
        m.d.sync += address.eq(self.counter_addr)
        with m.If(address == cluster_counters):
            m.d.sync += self.counter_data.eq(total + miscounts)
        with m.Else():
            m.d.sync += self.counter_data.eq(1000 + address)

    def _fetch(self, m, job):
        """States from a list to the decoded descriptor of its next pass."""
        config = self.config
        descriptor_beats = DESCRIPTOR_BYTES // config.mem_bytes
        descriptor = Signal(8 * DESCRIPTOR_BYTES)
        received = Signal(range(descriptor_beats + 1))
        with m.State("IDLE"):
            m.d.comb += [self.start_list.ready.eq(1), self.busy.eq(0)]
            m.d.sync += Cat(job.list, job.passes).eq(self.start_list.payload)
            with m.If(self.start_list.valid):
                m.d.sync += self.pass_number.eq(-1)
                m.next = "NEXT"
        with m.State("NEXT"):
            m.d.sync += received.eq(0)
            with m.If(job.passes == 0):
                m.next = "IDLE"
                with m.If(job.has("hang")):
                    m.next = "HANG"
            with m.Else():
                m.next = "DESCRIPTOR_CMD"
        with m.State("DESCRIPTOR_CMD"):
            # Bursts are at most `burst_beats` long, so the descriptor is read beat by beat.
            addr = (job.list + received * config.mem_bytes)[: config.addr_width]
            m.d.comb += [
                self.mem_read_cmd.valid.eq(1),
                self.mem_read_cmd.payload.eq(Cat(addr, Const(1, 8))),
            ]
            with m.If(self.mem_read_cmd.ready):
                m.next = "DESCRIPTOR"
        with m.State("DESCRIPTOR"), m.If(self.mem_read_data.valid):
            m.d.sync += [
                descriptor.eq(Cat(descriptor[config.mem_width :], self.mem_read_data.payload)),
                received.eq(received + 1),
            ]
            m.next = "DESCRIPTOR_CMD"
            with m.If(received == descriptor_beats - 1):
                m.next = "DECODE"
        with m.State("DECODE"):
            m.d.sync += [
                job.source.eq(descriptor[field_bits("s_data")]),
                job.target.eq(descriptor[field_bits("out_addr")]),
                job.left.eq(descriptor[field_bits("samples")]),
                job.fault.eq(descriptor[field_bits("shift")]),
                job.list.eq(job.list + DESCRIPTOR_BYTES),
                job.passes.eq(job.passes - 1),
                self.pass_number.eq(self.pass_number + 1),
            ]
            m.next = "BREAK"

    def _copy(self, m, job):
        """States that copy the beats of a pass, one by one."""
        config = self.config
        data = Signal(config.mem_width)
        with m.State("BREAK"):
            with m.If(job.has("stray")):
                m.d.sync += job.left.eq(job.left + 1)
            with m.If(job.has("outside")):
                m.d.sync += job.target.eq(Const(-1024, config.addr_width))
            with m.If(job.has("unaligned")):
                m.d.sync += job.target.eq(job.target + 1)
            m.next = "COPY"
        with m.State("COPY"):
            with m.If(job.left == 0):
                m.next = "NEXT"
            with m.Else():
                beats = Mux(job.has("oversize"), config.burst_beats + 1, Const(1, 8))
                m.d.comb += [
                    self.mem_read_cmd.valid.eq(1),
                    self.mem_read_cmd.payload.eq(Cat(job.source, beats)),
                ]
                with m.If(self.mem_read_cmd.ready):
                    m.next = "READ"
        with m.State("READ"):
            m.d.sync += data.eq(self.mem_read_data.payload)
            with m.If(self.mem_read_data.valid):
                m.next = "WRITE_DATA"
        with m.State("WRITE_DATA"):
            # Data before the command, which memory must allow.
            offered = Signal(4)
            m.d.sync += offered.eq(offered + 1)
            m.d.comb += [
                self.mem_write_data.valid.eq(~job.has("withdraw") | (offered != 1)),
                self.mem_write_data.payload.eq(Cat(data, Const(-1, config.mem_bytes))),
            ]
            with m.If(self.mem_write_data.valid & self.mem_write_data.ready):
                m.d.sync += offered.eq(0)
                m.next = "WRITE_CMD"
        with m.State("WRITE_CMD"):
            m.d.comb += [
                self.mem_write_cmd.valid.eq(1),
                self.mem_write_cmd.payload.eq(Cat(job.target, Const(1, 8))),
            ]
            with m.If(self.mem_write_cmd.ready):
                m.next = "DONE"
                with m.If(job.has("early_idle")):
                    m.next = "ADVANCE"
        with m.State("DONE"), m.If(self.mem_write_done):
            m.next = "ADVANCE"
        with m.State("ADVANCE"):
            m.d.sync += [
                job.source.eq(job.source + config.mem_bytes),
                job.target.eq(job.target + config.mem_bytes),
                job.left.eq(job.left - 1),
            ]
            m.next = "COPY"
