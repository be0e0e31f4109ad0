# amaranth: UnusedElaboratable=no
"""Passes of a list are read, checked and started one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.hw.core.pass_sequencer import PassSequencer
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from tests.hw.streams import never, randomly, simulate
from tests.pass_programs import TINY, random_program

SPAN = 40
"""Cycles that a pass runs."""


def run(image, addr, count, pauses):
    """Return the descriptors started, and (error, number) at the end if there is one."""
    sequencer = PassSequencer(config=TINY)
    started, error = [], []

    async def memory(ctx):
        due = []
        while True:
            takes = not next(pauses)
            ctx.set(sequencer.command.ready, takes)
            sends = bool(due) and not next(pauses)
            if sends:
                beat = image[due[0] : due[0] + TINY.mem_bytes]
                ctx.set(sequencer.data, int.from_bytes(beat.tobytes(), "little"))
                due.pop(0)
            ctx.set(sequencer.data_valid, sends)
            _, _, valid, command = await ctx.tick().sample(
                sequencer.command.valid, sequencer.command.p
            )
            if valid and takes:
                due += [command.addr + n * TINY.mem_bytes for n in range(command.beats)]

    async def passes(ctx):
        running = 0
        while True:
            _, _, start, d = await ctx.tick().sample(sequencer.start, sequencer.d)
            if start:
                assert not running, "a pass is started when the one before is over"
                started.append(d.as_value().value if hasattr(d, "as_value") else int(d))
            running = SPAN if start else max(0, running - 1)
            ctx.set(sequencer.running, running > 0)

    async def host(ctx):
        list_range = {"begin": addr, "end": addr + count * DESCRIPTOR_BYTES}
        ctx.set(sequencer.start_list.p, {"addr": addr, "count": count, "list_range": list_range})
        ctx.set(sequencer.start_list.valid, 1)
        await ctx.tick().until(sequencer.start_list.ready)
        ctx.set(sequencer.start_list.valid, 0)
        await ctx.tick()
        while ctx.get(sequencer.busy) and not ctx.get(sequencer.error):
            await ctx.tick()
        error.append((ctx.get(sequencer.error), ctx.get(sequencer.number)))
        for _ in range(2 * SPAN):
            await ctx.tick()

    simulate(sequencer, host, cycles=4000 * count, background=[memory, passes])
    return started, error[0]


def descriptor_bits(image, addr, count):
    raw = image[addr : addr + count * DESCRIPTOR_BYTES].reshape(count, DESCRIPTOR_BYTES)
    return [int.from_bytes(one.tobytes(), "little") for one in raw]


@pytest.mark.parametrize("pauses", [never, lambda: randomly(5)], ids=["no pause", "pauses"])
def test_passes_are_started_in_order(pauses):
    program = random_program(3, 0, config=TINY, count=3)
    addr, count = program.descriptors_addr, program.count
    started, (error, number) = run(program.image, addr, count, pauses())
    assert started == descriptor_bits(program.image, addr, count)
    assert (error, number) == (PassError.NONE, count - 1)


def test_a_bad_descriptor_ends_the_list():
    program = random_program(4, 0, config=TINY, count=3)
    addr = program.descriptors_addr
    image = program.image.copy()
    bad = PASS_DESCRIPTOR.unpack(image[addr + DESCRIPTOR_BYTES : addr + 2 * DESCRIPTOR_BYTES])
    bad = bad.copy()
    bad["tile_samples"] = 0
    image[addr + DESCRIPTOR_BYTES : addr + 2 * DESCRIPTOR_BYTES] = bad.view(np.uint8)
    started, (error, number) = run(image, addr, 3, never())
    assert started == descriptor_bits(image, addr, 1)
    assert (error, number) == (PassError.TILES, 0)
