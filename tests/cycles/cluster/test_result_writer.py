# amaranth: UnusedElaboratable=no
"""The model of the writer of results says in every cycle what the hardware says."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.cycles.cluster import result_writer as model
from gscn.hw.cluster.result_writer import ResultWriter
from gscn.hw.layouts import OutFormat
from gscn.system.compiled import compiled
from tests.hw.cluster.test_result_writer import BYTES, CONFIG, runs, words_of
from tests.hw.streams import drive, reused, simulate, with_pauses


def recorded(rows, out_format, source_pauses, sink_pauses):
    """Return in each cycle what is driven and what the hardware says."""
    writer = reused(ResultWriter, config=CONFIG)
    words = words_of(rows)
    cycles = []

    async def memory(ctx):
        due, pauses = 0, sink_pauses()
        while True:
            takes, pause = due > 0, next(pauses)
            ctx.set(writer.command.ready, not pause)
            ctx.set(writer.o.ready, takes and not pause)
            _, _, valid, row, ready, offered, beats, level, empty = await ctx.tick().sample(
                writer.i.valid, writer.i.p, writer.i.ready, writer.command.valid,
                writer.command.p.beats, writer.o.valid, writer.empty,
            )  # fmt: skip
            taken, leaves = offered and not pause, takes and not pause
            due += taken * beats - leaves
            cycles.append(
                (valid, row.addr, row.last, taken, leaves, ready, offered * beats, level, empty)
            )

    async def ends(ctx):
        ctx.set(writer.out_format, out_format)
        await drive(writer.i, words, source_pauses())(ctx)
        for _ in range(3):
            await ctx.tick()
        while not ctx.get(writer.empty):
            await ctx.tick()

    simulate(writer, ends, cycles=20 * len(rows), background=[memory])
    return np.array(cycles, np.int64)


@compiled
def follow(state, bursts, cycles, beat_bits, burst, seen):
    """Step the model through what is driven; keep what it says."""
    writer = state[0]
    for cycle in range(cycles.shape[0]):
        valid, place, last = cycles[cycle, 0], cycles[cycle, 1], cycles[cycle, 2]
        ready = model.takes_row(writer, bursts.shape[0])
        seen[cycle, 0] = ready
        seen[cycle, 1] = bursts[writer.burst_head] if writer.bursts else 0
        seen[cycle, 2] = writer.level != 0
        seen[cycle, 3] = model.is_empty(writer)
        writer.taken = cycles[cycle, 3]
        writer.leaves = cycles[cycle, 4]
        model.step_writer(writer, bursts, valid and ready, place, last, beat_bits, burst)


@with_pauses
@pytest.mark.parametrize("out_format", BYTES)
def test_outputs_equal_those_of_the_hardware_in_every_cycle(source_pauses, sink_pauses, out_format):
    size = BYTES[out_format]
    rows = runs(size, size * CONFIG.drain_width)
    cycles = recorded(rows, OutFormat(out_format), source_pauses, sink_pauses)
    seen = np.zeros((len(cycles), 4), np.int64)
    follow(
        np.zeros(1, model.RESULT_WRITER),
        np.zeros(2 * CONFIG.burst_beats, np.int64),
        cycles,
        (CONFIG.mem_bytes - 1).bit_length(),
        CONFIG.burst_beats,
        seen,
    )
    for name, column, hardware in zip(
        ("ready", "burst", "level", "empty"), seen.T, cycles[:, 5:].T, strict=True
    ):
        assert column.tolist() == hardware.tolist(), name
