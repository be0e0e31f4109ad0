"""Faults of what a cluster walks through, loads and sums."""

from __future__ import annotations

from tests.formal.mutant import of

CLUSTER_MUTANTS = [
    *of(
        "TileWalk",
        ("place", "stepped.eq(base + loops[number][1])", "stepped.eq(place + loops[number][1])"),
        ("place", "[inner.eq(stepped) for inner in bases[1 : number + 1]]", "[]"),
        ("last", "self.last.eq(before)", "self.last.eq(ends[0] & ends[1])"),
        ("last", "end.eq(left == 2)", "end.eq(left <= 3)"),
        ("each", "restart(number)", "pass"),
    ),
    *of(
        "StripWalker",
        ("together", "active & ~empty & self.contexts.ready", "active & ~empty"),
        ("together", "active & (empty | self.strips.ready)", "active & self.strips.ready"),
        ("once", "[strip.eq(first), samples_left", "[strip.eq(0), samples_left"),
        ("once", "last_group.eq(groups_left == 1)", "last_group.eq(groups_left <= 2)"),
        ("ends", "ends_piece.eq(last_strip & last_sample)", "ends_piece.eq(last_strip)"),
        ("ends", "strip + 1 == d.t_strips, d.t_rows_last", "last_strip, d.t_rows_last"),
        ("base", "base.eq(base + d.s_keys)", "base.eq(base + self.sample_keys)"),
        ("base", "sample_offset.eq(sample_offset + d.plane)", "sample_offset.eq(d.plane)"),
        ("need", "context.need.eq(chunk + needed)", "context.need.eq(chunk + ahead)"),
        ("need", "self.tile.chunk - first_chunk(d, job.strip)", "self.tile.chunk"),
        ("finished", "Mux(~last_strip & (done < d.s_chunks), done", "Mux(~last_strip, done"),
        ("marks", "last_strip | (behind > 0)", "last_strip | (behind >= 0)"),
    ),
    *of(
        "SummingDrain",
        ("clear", "clear_row == sum_rows(config) - 1", "clear_row == sum_rows(config) - 2"),
        ("clear", "clears_left = Signal(range(3), init=2)", "clears_left = Signal(2, init=1)"),
        ("begin", "finished.eq(Cat(count != 0 for count in ends).all())", "finished.eq(some)"),
        ("begin", "count + end - takes", "count + end - (takes & end)"),
        ("walk", "walk.row.eq(d.y_step >> row_bits)", "walk.row.eq(d.x_step >> row_bits)"),
        ("rows", "flight[0] & ends[0] & moves", "ends[0] & moves"),
        ("rows", "walk.en.eq(moves)", "walk.en.eq(1)"),
        ("order", "self.o.valid.eq(total_there & tile.head)", "self.o.valid.eq(total_there)"),
        ("sum", "Mux(tile.last, own, total)", "total"),
        ("sum", "row.eq(Mux(tile.last, own, total))", "row.eq(own)"),
        ("chain", "chain.o.ready.eq(enters & ~tile.last)", "chain.o.ready.eq(enters)"),
        ("over", "total_leaves & total_ends)", "total_leaves)"),
        ("overflow", "wide[width] != wide[width - 1]", "wide[width] & ~wide[width - 1]"),
        ("overflow", "enters & ~tile.last & wide)", "enters & tile.last & wide)"),
        ("prompt", "(tile.last | chain.o.valid)", "(tile.last & chain.o.valid)"),
        ("prompt", "moves.eq(~flight[-1] | enters)", "moves.eq(enters)"),
        ("held", "total_there & tile.head)", "total_there & tile.head & ~chain.o.valid)"),
        ("held_chain", "total_there & ~tile.head)", "total_there & ~tile.head & ~chain.o.valid)"),
    ),
]
