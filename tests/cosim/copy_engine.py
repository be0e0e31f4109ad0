# amaranth: UnusedElaboratable=no
"""A component with the accelerator's ports that copies memory: it tests the testbench itself.

A job copies `walk_count` beats from `segment_addr` to `out_addr`. `shift` in its descriptor selects
a fault, one of those that the testbench must find. It takes no lists of phases.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.config import AcceleratorConfig
from gscn.counters import CLUSTER_COUNTERS
from gscn.error_codes import NO_PHASE
from gscn.records import JOB_DESCRIPTOR

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
    for field in JOB_DESCRIPTOR.fields:
        if field.name == name:
            return slice(low, low + field.width)
        low += field.width
    raise KeyError(name)


class CopyEngine(wiring.Component):
    """Copy memory, one beat at a time."""

    def __init__(self, *, config: AcceleratorConfig):
        self.config = config
        command = stream.Signature(config.addr_width + 8)
        super().__init__(
            {
                "start": In(stream.Signature(3 * config.addr_width + 33)),
                "start_list": In(stream.Signature(config.addr_width + 32)),
                "busy": Out(1),
                "phase": Out(32),
                "saturated": Out(1),
                "accumulator_overflow": Out(1),
                "address_error": Out(1),
                "nonfinite": Out(1),
                "error_code": Out(5),
                "error_job": Out(32),
                "error_phase": Out(32),
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
        # Long: one state machine, in which each fault is a line of a state.
        m = Module()
        config = self.config
        queue = Signal(config.addr_width)
        jobs = Signal(32)
        source = Signal(config.addr_width)
        target = Signal(config.addr_width)
        left = Signal(32)
        descriptor_beats = 64 // config.mem_bytes
        descriptor = Signal(512)
        received = Signal(range(descriptor_beats + 1))
        data = Signal(config.mem_width)
        total = Signal(48)

        fault = Signal(16)

        def has(name):
            return fault == FAULTS.index(name)

        m.d.sync += total.eq(total + self.busy)
        # Two registers on the way: data are valid two cycles after the address.
        address = Signal(16)
        cluster_counters = config.clusters * len(CLUSTER_COUNTERS)
        m.d.sync += address.eq(self.counter_addr)
        with m.If(address == cluster_counters):
            m.d.sync += self.counter_data.eq(total + has("count"))
        with m.Else():
            m.d.sync += self.counter_data.eq(1000 + address)

        m.d.comb += self.busy.eq(1)
        m.d.comb += [self.saturated.eq(1), self.phase.eq(NO_PHASE)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.start.ready.eq(1), self.busy.eq(0)]
                m.d.sync += Cat(queue, jobs).eq(self.start.payload[: config.addr_width + 32])
                with m.If(self.start.valid):
                    m.next = "NEXT"
            with m.State("NEXT"):
                m.d.sync += received.eq(0)
                with m.If(jobs == 0):
                    m.next = "IDLE"
                    with m.If(has("hang")):
                        m.next = "HANG"
                with m.Else():
                    m.next = "DESCRIPTOR_CMD"
            with m.State("DESCRIPTOR_CMD"):
                # Bursts are at most `burst_beats` long, so the descriptor is read beat by beat.
                m.d.comb += [
                    self.mem_read_cmd.valid.eq(1),
                    self.mem_read_cmd.payload.eq(
                        Cat((queue + received * config.mem_bytes)[: config.addr_width], Const(1, 8))
                    ),
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
                    source.eq(descriptor[field_bits("segment_addr")]),
                    target.eq(descriptor[field_bits("out_addr")]),
                    left.eq(descriptor[field_bits("walk_count")]),
                    fault.eq(descriptor[field_bits("shift")]),
                    queue.eq(queue + 64),
                    jobs.eq(jobs - 1),
                ]
                m.next = "BREAK"
            with m.State("BREAK"):
                with m.If(has("stray")):
                    m.d.sync += left.eq(left + 1)
                with m.If(has("outside")):
                    m.d.sync += target.eq(Const(-1024, config.addr_width))
                with m.If(has("unaligned")):
                    m.d.sync += target.eq(target + 1)
                m.next = "COPY"
            with m.State("COPY"):
                with m.If(left == 0):
                    m.next = "NEXT"
                with m.Else():
                    m.d.comb += [
                        self.mem_read_cmd.valid.eq(1),
                        self.mem_read_cmd.payload.eq(
                            Cat(source, Mux(has("oversize"), config.burst_beats + 1, Const(1, 8)))
                        ),
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
                    self.mem_write_data.valid.eq(~has("withdraw") | (offered != 1)),
                    self.mem_write_data.payload.eq(Cat(data, Const(-1, config.mem_bytes))),
                ]
                with m.If(self.mem_write_data.valid & self.mem_write_data.ready):
                    m.d.sync += offered.eq(0)
                    m.next = "WRITE_CMD"
            with m.State("WRITE_CMD"):
                m.d.comb += [
                    self.mem_write_cmd.valid.eq(1),
                    self.mem_write_cmd.payload.eq(Cat(target, Const(1, 8))),
                ]
                with m.If(self.mem_write_cmd.ready):
                    m.next = "DONE"
                    with m.If(has("early_idle")):
                        m.next = "ADVANCE"
            with m.State("DONE"), m.If(self.mem_write_done):
                m.next = "ADVANCE"
            with m.State("ADVANCE"):
                m.d.sync += [
                    source.eq(source + config.mem_bytes),
                    target.eq(target + config.mem_bytes),
                    left.eq(left - 1),
                ]
                m.next = "COPY"
            with m.State("HANG"):
                m.next = "HANG"
        return m
