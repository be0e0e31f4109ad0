"""Faults of what a cluster walks through, loads and sums."""

from __future__ import annotations

from tests.formal.mutant import of

CLUSTER_MUTANTS = [
    *of(
        "TileWalk",
        ("place", "stepped.eq(base + loops[number][1])", "stepped.eq(place + loops[number][1])"),
        ("place", "[inner.eq(stepped) for inner in bases[1 : number + 1]]", "[]"),
        ("last", "self.last.eq(before)", "self.last.eq(ends[0] & ends[1])"),
        ("last", "(self.run[row_bits:], self.item)", "(self.run[row_bits:][:4], self.item)"),
        ("each", "[inner.eq(0) for inner in counts[:number]]", "[]"),
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
]
