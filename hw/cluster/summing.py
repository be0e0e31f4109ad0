"""Drain of a cluster of an array: add the sums of its PEs, and those of its team."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from gscn import latencies
from gscn.array import ArrayConfig
from gscn.hw.array_layouts import PASS, drain_layout, sum_rows, sums_layout, tile_layout
from gscn.hw.cluster.walk import TileWalk
from gscn.hw.fifo import StreamFIFO

_ADDENDS = 4
"""Rows of sums that are added between two registers."""


def _signs(row):
    """Return the signs of a row of sums."""
    return Cat(one.sum[-1] for one in row)


class SummingDrain(wiring.Component):
    """Drain jobs in order: add the rows of sums of all PEs and of the rest of the team.

    A job is drained when every PE has finished it. Its rows of sums are read in the order of its
    results; to each the row that comes from the next cluster is added, unless this one is the last
    of its team; the total goes to the cluster before, or if this one is the head to `o`. After
    reset both banks are walked once to clear them.

    Implements: "Results" in `docs/contract/passes.md`.

    Timing
    ------
    - Latency: `CHAIN_LATENCY` from `chain_i` to `o`, `chain_o`. From `sums` there are
      `gscn.latencies.team_sum_cycles`. A bank is free, as `freed` says, `FREE_CYCLES` after
      its last row was asked for, if that is taken at once.
    - Throughput: one row per cycle; `BETWEEN_JOBS` cycles from the end of a job to the first row
      that is asked for of the next one.
    - Combinational: none.
    - Reset: no job, both banks to be cleared; outputs 0, but `tiles.ready` = 1, `chain_i.ready` =
      1, `busy` = 1, `drain` = 1, as the first row is cleared, and `tile` undefined.

    Parameters
    ----------
    config
        Sizes.

    Attributes
    ----------
    tiles : In(stream.Signature(tile_layout(config)))
        Announced drains, each a cycle before any PE has finished it, or earlier.
    d : In(PASS)
        The pass.
    job_end : In(config.pes)
        Per PE, a job is finished (pulse).
    drain : Out(drain_layout(config))
        To all PEs, as of `hw.pe.worker.Worker`.
    sums : In(sums_layout(config)).array(config.pes)
        From them.
    chain_i : In(stream.Signature(sums_layout(config)))
        Rows of the next cluster.
    chain_o : Out(stream.Signature(sums_layout(config)))
        Rows for the cluster before.
    o : Out(stream.Signature(sums_layout(config)))
        Rows of a head.
    tile : Out(tile_layout(config))
        The job that is drained.
    begin : Out(1)
        Its drain begins (pulse).
    written : In(1)
        The results of a head are all handed on (pulse).
    freed : Out(1)
        A bank of accumulators has become free (pulse), after reset two once they are cleared.
    done : Out(1)
        A job is over (pulse).
    overflow : Out(1)
        A sum left the accumulator's width (pulse, in the cycle after its row leaves at the latest).
    busy : Out(1)
        A finished job is not over.
    initialized : Out(1)
        Both banks have been cleared since reset.
    """

    TILES = latencies.TILES_ANNOUNCED
    CHAIN_DEPTH = 2

    CHAIN_LATENCY = StreamFIFO.LATENCY + 1
    FREE_CYCLES = latencies.DRAIN_FREE_CYCLES
    BETWEEN_JOBS = latencies.DRAIN_BETWEEN_JOBS

    def __init__(self, *, config: ArrayConfig):
        self.config = config
        rows = stream.Signature(sums_layout(config))
        super().__init__(
            {
                "tiles": In(stream.Signature(tile_layout(config))),
                "d": In(PASS),
                "job_end": In(config.pes),
                "drain": Out(drain_layout(config)),
                "sums": In(sums_layout(config)).array(config.pes),
                "chain_i": In(rows),
                "chain_o": Out(rows),
                "o": Out(rows),
                "tile": Out(tile_layout(config)),
                "begin": Out(1),
                "written": In(1),
                "freed": Out(1),
                "done": Out(1),
                "overflow": Out(1),
                "busy": Out(1),
                "initialized": Out(1),
            }
        )

    def _queue_tiles(self, m):
        """Return the queue of announced drains, all of which but the last one may be in it.

        That one is in a register, as whether there is one is known late.
        """
        shape = tile_layout(self.config)
        m.submodules.tiles_queue = tiles = StreamFIFO(shape=shape, depth=self.TILES - 1)
        newest, waits = Signal(shape, name="newest", reset_less=True), Signal(name="waits")
        m.d.comb += [
            self.tiles.ready.eq(~waits | tiles.i.ready),
            tiles.i.valid.eq(waits),
            tiles.i.p.eq(newest),
        ]
        with m.If(self.tiles.ready):
            m.d.sync += [waits.eq(self.tiles.valid), newest.eq(self.tiles.p)]
        return tiles

    def _finished(self, m, takes):
        """Return whether all PEs have finished the oldest job; they may be jobs apart."""
        ends = [Signal(range(self.TILES + 2), name=f"ends{pe}") for pe in range(self.config.pes)]
        for count, end in zip(ends, self.job_end, strict=True):
            m.d.sync += count.eq(count + end - takes)
        finished, some = Signal(), Signal()
        m.d.comb += [
            finished.eq(Cat(count != 0 for count in ends).all()),
            some.eq(Cat(count != 0 for count in ends).any()),
        ]
        return finished, some

    def _add(self, m, first, second, name):
        """Return two rows of sums added, and of each exact sum the bit above its width."""
        width = self.config.acc_width
        total = Signal(sums_layout(self.config), name=name)
        above = []
        for lane in range(self.config.drain_width):
            wide = Signal(width + 1, name=f"{name}_wide{lane}")
            m.d.comb += [
                wide.eq(first[lane].sum + second[lane].sum),
                total[lane].sum.eq(wide[:width]),
            ]
            above.append(wide[width])
            if self.config.floats:
                m.d.comb += total[lane].special.eq(first[lane].special | second[lane].special)
        return total, Cat(above)

    def _add_all(self, m, rows, name):
        """Return rows of sums added in pairs, the bits above them, and what left its width before.

        It is for registers behind them to say whether the last ones have left theirs, as sums take
        most of a cycle.
        """
        if len(rows) == 1:
            return rows[0], 0, 0
        half = len(rows) // 2
        beyond = 0
        halves = []
        for part, its_name in ((rows[:half], f"{name}_low"), (rows[half:], f"{name}_high")):
            added, above, before = self._add_all(m, part, its_name)
            halves.append(added)
            if len(part) > 1:
                beyond |= before | (above ^ _signs(added))
        return *self._add(m, *halves, name), beyond

    def _add_pes(self, m, flight, moves):
        """Return the rows of all PEs added: a register behind the PEs, and after each step."""

        def hold(row, name):
            held = Signal.like(row, name=f"held_{name}", reset_less=True)
            with m.If(moves):
                m.d.sync += held.eq(row)
            return held

        # what a memory answers, late, is not added in the same cycle
        rows = [hold(row, f"pe{number}") for number, row in enumerate(self.sums)]
        beyond = []
        for level in range(1, len(flight) - 1):
            added = []
            for start in range(0, len(rows), _ADDENDS):
                name = f"sum{level}_{len(added)}"
                group = rows[start : start + _ADDENDS]
                total, above, before = self._add_all(m, group, name)
                added.append(hold(total, name))
                if len(group) > 1:
                    left = hold(above, f"{name}_above") ^ _signs(added[-1])
                    if len(group) > 2:
                        left |= hold(before, f"{name}_beyond")
                    beyond.append(Mux(flight[level + 1], left, 0))
            rows = added
        if not beyond:
            return rows[0], 0
        moved = Signal()
        m.d.sync += moved.eq(moves)
        return rows[0], Cat(beyond).any() & moved

    def _keep(self, m, newest, kept_there):
        """Return the oldest row of all PEs: the newest one, or the one that is kept beside it."""
        kept = Signal.like(newest, name="kept", reset_less=True)
        own = Signal.like(newest, name="own")
        m.d.comb += own.eq(Mux(kept_there, kept, newest))
        with m.If(~kept_there):
            m.d.sync += kept.eq(newest)
        return own

    def _walk_rows(self, m, tile):
        """Return the walk over a tile's rows of sums."""
        d, row_bits = self.d, self.config.drain_width.bit_length() - 1
        m.submodules.walk = walk = TileWalk(config=self.config, width=len(self.drain.row))
        m.d.comb += [
            walk.tile.eq(tile),
            walk.run.eq(d.run),
            walk.item.eq(1),
            walk.col.eq(d.x_step >> row_bits),
            walk.row.eq(d.y_step >> row_bits),
            walk.sample.eq(d.plane >> row_bits),
        ]
        return walk

    def elaborate(self, platform):
        m = Module()
        config = self.config
        tiles = self._queue_tiles(m)
        m.submodules.chain = chain = StreamFIFO(shape=sums_layout(config), depth=self.CHAIN_DEPTH)
        wiring.connect(m, wiring.flipped(self.chain_i), chain.i)
        tile = tiles.o.p
        m.d.comb += self.tile.eq(tile)
        walk = self._walk_rows(m, tile)
        # of the job, from its first cycle on: it is the oldest one before it begins
        head, last = Signal(), Signal()
        m.d.sync += [head.eq(tile.head), last.eq(tile.last)]

        # -- rows under way: asked for, and added in levels; the last one waits to be taken
        levels = latencies.team_sum_cycles(config.pes) - 1
        flight = Signal(levels + 1)
        asks, moves, reads = Signal(), Signal(), Signal()
        kept_there, total_there = Signal(), Signal()
        total_leaves, enters = Signal(), Signal()
        m.d.comb += [
            enters.eq(
                (flight[-1] | kept_there) & (last | chain.o.valid) & (~total_there | total_leaves)
            ),
            chain.o.ready.eq(enters & ~last),
            moves.eq(~flight[-1] | ~kept_there),
        ]
        with m.If(moves):
            m.d.sync += flight.eq(Cat(asks, flight[:-1]))

        # -- the total of this cluster and of those after it; whether a row enters it is known too
        # late to stop the PEs, so that one that does not is kept beside the next one
        newest, beyond = self._add_pes(m, flight, moves)
        own = self._keep(m, newest, kept_there)
        m.d.sync += kept_there.eq((flight[-1] | kept_there) & ~enters)
        total, total_above = self._add(m, own, chain.o.p, "total")
        row, above = Signal(sums_layout(config), reset_less=True), Signal.like(total_above)
        added, tells = Signal(), Signal()
        m.d.comb += tells.eq(beyond | (added & (above != _signs(row))))
        m.d.sync += [added.eq(enters & ~last), self.overflow.eq(tells)]
        with m.If(enters):
            m.d.sync += [row.eq(Mux(last, own, total)), above.eq(total_above)]
        m.d.sync += total_there.eq(enters | (total_there & ~total_leaves))
        m.d.comb += [
            self.o.p.eq(row),
            self.chain_o.p.eq(row),
            self.o.valid.eq(total_there & head),
            self.chain_o.valid.eq(total_there & ~head),
            total_leaves.eq(total_there & Mux(head, self.o.ready, self.chain_o.ready)),
        ]

        # -- jobs
        clears_left = Signal(range(3), init=2)
        clearing = clears_left != 0
        clear_row = Signal.like(self.drain.row)
        takes, ended, cleared = Signal(), Signal(), Signal()
        finished, some = self._finished(m, ended)
        m.d.comb += [
            self.initialized.eq(~clearing),
            self.busy.eq(1),
            self.drain.row.eq(Mux(clearing, clear_row, walk.place)),
            self.drain.en.eq(reads),
            walk.begin.eq(takes),
            self.begin.eq(takes),
        ]
        m.d.sync += [cleared.eq(0), self.freed.eq(cleared), self.done.eq(ended)]
        with m.FSM():
            with m.State("CLEAR"):
                m.d.comb += reads.eq(1)
                m.d.sync += clear_row.eq(clear_row + 1)
                with m.If(clear_row == sum_rows(config) - 1):
                    m.d.sync += [
                        clear_row.eq(0),
                        clears_left.eq(clears_left - 1),
                        cleared.eq(1),
                        self.drain.bank.eq(~self.drain.bank),
                    ]
                    with m.If(clears_left == 1):
                        m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += self.busy.eq(some)
                with m.If(finished):
                    m.d.comb += takes.eq(1)
                    m.next = "WALK"
            with m.State("WALK"):
                # little decides it, as the PEs' memories are far away
                m.d.comb += [asks.eq(1), reads.eq(moves), walk.en.eq(moves)]
                with m.If(moves & walk.last):
                    m.d.sync += self.drain.bank.eq(~self.drain.bank)
                    m.next = "FINISH"
            with m.State("FINISH"):
                # PEs keep their last row only as long as the bank is not used anew
                with m.If(flight[0] & moves):
                    m.d.sync += self.freed.eq(1)
                last_leaves = total_leaves & ~kept_there & ~flight.any()
                with m.If(Mux(head, self.written, last_leaves)):
                    m.d.comb += [ended.eq(1), tiles.o.ready.eq(1)]
                    m.next = "WAIT"
        return m
