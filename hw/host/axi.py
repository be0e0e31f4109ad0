"""AXI4 manager on the memory side of the array's burst port."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from gscn.array import ArrayConfig
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.hw.fifo import StreamFIFO
from gscn.hw.host.axi_ports import (
    Response,
    axi4_port,
    bus_burst_layout,
    check_bursts,
    check_id,
)
from gscn.hw.layouts import read_beats, write_beat_layout

BURST_INCR = 1
"""Encoding of incrementing bursts."""


class AxiManager(wiring.Component):
    """Turn bursts into AXI4 transactions, all of one ID, so that answers come in order.

    What is said of them besides, protection and cacheability, is constant (`gscn.axi`).

    The answers are taken at once (`rready` and `bready` are always high). A burst that is answered
    with an error counts like any other, its data is handed on, and the first such error is kept.
    Every output of the port comes from a queue and stays until it is taken, whatever the array
    does. A beat is taken from the cycle on in which its command is.

    Timing
    ------
    - Latency: `LATENCY` from `read_cmd` to `axi.araddr`, from `write_cmd` to `axi.awaddr` and from
      `write_data` to `axi.wdata`; `ANSWER_LATENCY` from `axi.rdata` to `read_data` and from
      `axi.bvalid` to `write_done`.
    - Throughput: one burst and one beat per cycle and direction.
    - Combinational: `write_cmd.valid` -> `write_data.ready`; `axi.rvalid`, `axi.rdata` ->
      `read_data`; `axi.bvalid` -> `write_done`; `flush` -> `read_cmd.ready`, `write_cmd.ready`,
      `write_data.ready`, `read_data.valid`, `write_done`.
    - Reset: no burst under way, no error; outputs 0, but `read_cmd.ready` = 1, `write_cmd.ready` =
      1, `idle` = 1, `axi.rready` = 1, `axi.bready` = 1 and what is constant.

    Parameters
    ----------
    config
        Port width, burst length, read bursts under way, width of the ID.
    attributes
        Constants of every burst, width of its address; `InputError` is raised for an ID that the
        port is too narrow for, and for addresses narrower than the array's.

    Attributes
    ----------
    read_cmd : In(stream.Signature(bus_burst_layout(config, attributes)))
        Bursts to read.
    read_data : Out(read_beats(config))
        Beats read, in the order of the commands, to be taken at once.
    write_cmd : In(stream.Signature(bus_burst_layout(config, attributes)))
        Bursts to write.
    write_data : In(stream.Signature(write_beat_layout(config)))
        Their beats, in order.
    write_done : Out(1)
        A write burst is complete (pulse).
    flush : In(1)
        The array is held in reset: take nothing from it, hand nothing on, complete the bursts under
        way (those to be written with all strobes low) and keep no error of theirs.
    forget : In(1)
        Forget the error.
    idle : Out(1)
        No burst is under way.
    error : Out(1)
        A burst was answered with an error (until `forget`).
    error_write : Out(1)
        The first such burst was written.
    error_resp : Out(Response)
        Its response.
    error_addr : Out(attributes.bus_addr_width(config))
        Byte address of its beat if read, of the burst if written.
    axi : Out(axi4_port(config, attributes))
        The port.
    """

    LATENCY = 1
    WRITE_BURSTS = 16
    """Write bursts under way at once."""
    COMMAND_DEPTH = 2
    ANSWER_LATENCY = 0

    def __init__(self, *, config: ArrayConfig, attributes: AxiAttributes = DEFAULT_AXI):
        check_bursts(beat_bytes=config.mem_bytes, burst_beats=config.burst_beats)
        check_id(attributes.id, config.axi_id_width)
        self.config, self.attributes = config, attributes
        command = stream.Signature(bus_burst_layout(config, attributes))
        super().__init__(
            {
                "read_cmd": In(command),
                "read_data": Out(read_beats(config)),
                "write_cmd": In(command),
                "write_data": In(stream.Signature(write_beat_layout(config))),
                "write_done": Out(1),
                "flush": In(1),
                "forget": In(1),
                "idle": Out(1),
                "error": Out(1),
                "error_write": Out(1),
                "error_resp": Out(Response),
                "error_addr": Out(attributes.bus_addr_width(config)),
                "axi": Out(axi4_port(config, attributes)),
            }
        )

    def _connect_address(self, m: Module, channel: str, queue: StreamFIFO) -> None:
        """Drive an address channel from a queue of bursts."""
        said = self.attributes
        port = {
            name.removeprefix(channel): getattr(self.axi, name)
            for name in self.axi.signature.members
            if name.startswith(channel)
        }
        m.d.comb += [
            port["valid"].eq(queue.o.valid),
            queue.o.ready.eq(port["ready"]),
            port["addr"].eq(queue.o.p.addr),
            port["len"].eq(queue.o.p.beats - 1),
            port["size"].eq((self.config.mem_bytes - 1).bit_length()),
            port["burst"].eq(BURST_INCR),
            port["id"].eq(said.id),
            port["prot"].eq(said.prot),
            port["cache"].eq(said.read_cache if channel == "ar" else said.write_cache),
        ]

    def elaborate(self, platform):
        m = Module()
        config, axi = self.config, self.axi
        burst = bus_burst_layout(config, self.attributes)

        # -- commands: each into the queue of its channel and into the list of bursts under way
        def commands(direction, command, depth):
            queue = StreamFIFO(shape=burst, depth=self.COMMAND_DEPTH)
            pending = StreamFIFO(shape=len(command.p.addr), depth=depth)
            m.submodules[f"{direction}_queue"] = queue
            m.submodules[f"{direction}_pending"] = pending
            taken = Signal(name=f"{direction}_taken")
            m.d.comb += [
                taken.eq(command.valid & command.ready),
                queue.i.p.eq(command.p),
                queue.i.valid.eq(taken),
                pending.i.p.eq(command.p.addr),
                pending.i.valid.eq(taken),
            ]
            return queue, pending, taken

        ar, reads, _ = commands("read", self.read_cmd, config.outstanding_bursts)
        aw, writes, write_taken = commands("write", self.write_cmd, self.WRITE_BURSTS)
        m.submodules.lengths = lengths = StreamFIFO(shape=8, depth=self.WRITE_BURSTS)
        self._connect_address(m, "ar", ar)
        self._connect_address(m, "aw", aw)
        m.d.comb += [
            self.read_cmd.ready.eq(ar.i.ready & reads.i.ready & ~self.flush),
            self.write_cmd.ready.eq(aw.i.ready & writes.i.ready & lengths.i.ready & ~self.flush),
            self.idle.eq((reads.level == 0) & (writes.level == 0)),
        ]

        # -- beats to write: a burst that has its command is completed even if the array is gone
        beat = data.StructLayout({"beat": write_beat_layout(config), "last": 1})
        m.submodules.beats = beats = StreamFIFO(shape=beat, depth=self.COMMAND_DEPTH)
        beat_number, length = Signal(8), Signal(8)
        known, moves, last = Signal(), Signal(), Signal()
        m.d.comb += [
            # a command without one before it serves its first beat in the cycle it is taken
            known.eq(lengths.o.valid | write_taken),
            length.eq(Mux(lengths.o.valid, lengths.o.p, self.write_cmd.p.beats)),
            moves.eq(known & beats.i.ready & (self.write_data.valid | self.flush)),
            self.write_data.ready.eq(known & beats.i.ready & ~self.flush),
            beats.i.valid.eq(moves),
            beats.i.p.beat.data.eq(self.write_data.p.data),
            beats.i.p.beat.strobe.eq(Mux(self.flush, 0, self.write_data.p.strobe)),
            last.eq(beat_number + 1 == length),
            beats.i.p.last.eq(last),
            lengths.i.p.eq(self.write_cmd.p.beats),
            # nothing is left to remember of a burst of one beat that has been sent on
            lengths.i.valid.eq(write_taken & (lengths.o.valid | ~(moves & last))),
            lengths.o.ready.eq(moves & last),
            axi.wvalid.eq(beats.o.valid),
            beats.o.ready.eq(axi.wready),
            axi.wdata.eq(beats.o.p.beat.data),
            axi.wstrb.eq(beats.o.p.beat.strobe),
            axi.wlast.eq(beats.o.p.last),
        ]
        with m.If(moves):
            m.d.sync += beat_number.eq(Mux(last, 0, beat_number + 1))

        # -- answers
        read_offset = Signal(range(config.mem_bytes * config.burst_beats))
        m.d.comb += [
            axi.rready.eq(1),
            axi.bready.eq(1),
            self.read_data.payload.eq(axi.rdata),
            self.read_data.valid.eq(axi.rvalid & ~self.flush),
            self.write_done.eq(axi.bvalid & ~self.flush),
            reads.o.ready.eq(axi.rvalid & axi.rlast),
            writes.o.ready.eq(axi.bvalid),
        ]
        with m.If(axi.rvalid):
            m.d.sync += read_offset.eq(Mux(axi.rlast, 0, read_offset + config.mem_bytes))

        # -- the first error; of two in one cycle, the read
        read_fails, write_fails = Signal(), Signal()
        m.d.comb += [
            read_fails.eq(~self.flush & axi.rvalid & axi.rresp.as_value()[1]),
            write_fails.eq(~self.flush & axi.bvalid & axi.bresp.as_value()[1]),
        ]
        with m.If(self.forget):
            m.d.sync += [self.error.eq(0), self.error_write.eq(0)]
            m.d.sync += [self.error_resp.eq(Response.OKAY), self.error_addr.eq(0)]
        with m.Elif(~self.error & read_fails):
            m.d.sync += [self.error.eq(1), self.error_resp.eq(axi.rresp)]
            m.d.sync += self.error_addr.eq(reads.o.p + read_offset)
        with m.Elif(~self.error & write_fails):
            m.d.sync += [self.error.eq(1), self.error_write.eq(1)]
            m.d.sync += [self.error_resp.eq(axi.bresp), self.error_addr.eq(writes.o.p)]
        return m
