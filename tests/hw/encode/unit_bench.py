# amaranth: UnusedElaboratable=no
"""Run records on the encode unit, and compare memory and errors with the emulator's."""

from __future__ import annotations

import numpy as np

from gscn.emulator.encode import run_encode
from gscn.encode import ENCODE_DESCRIPTOR_BYTES
from gscn.hw.encode.unit import EncodeUnit
from tests.hw.encode.unit_memory import WrittenMemory
from tests.hw.streams import simulate

LISTED = (0, ENCODE_DESCRIPTOR_BYTES)


def run_unit(config, images, *, latency=5, pauses=None, write_pauses=None, most=20000):
    """Return (memory, error, flags, cycles) of each pass, whose record is at 0 of its image."""
    dut = EncodeUnit(config=config, depth=16, vectors=80)
    memory = WrittenMemory(config, latency=latency, pauses=pauses, write_pauses=write_pauses)
    found = []

    async def testbench(ctx):
        for image in images:
            memory.data = bytearray(image.tobytes())
            memory.data += bytes(-len(memory.data) % 64)
            ctx.set(dut.start.p, {"addr": 0, "list_range": {"begin": 0, "end": LISTED[1]}})
            ctx.set(dut.start.valid, 1)
            await ctx.tick().until(dut.start.ready)
            ctx.set(dut.start.valid, 0)
            busy, cycles = True, 0
            while busy:
                _, _, busy = await ctx.tick().sample(dut.busy)
                cycles += 1
            after = np.frombuffer(bytes(memory.data), dtype=np.uint8)[: image.size]
            found.append((after, ctx.get(dut.error), ctx.get(dut.flags), cycles))

    data = dut.mem_read_data
    simulate(
        dut, testbench,
        background=[
            memory.serve_reads([dut.mem_read_cmd], data.payload, data.valid),
            memory.serve_writes(dut.mem_write_cmd, dut.mem_write_data, dut.mem_write_done),
        ],
        cycles=most * len(images),
    )  # fmt: skip
    return found


def differences(config, image, got):
    """Return what differs from the emulator's pass: names of places, or nothing."""
    after, error, flags, _ = got
    wanted = run_encode(config, image, 0, LISTED)
    if error != wanted.error:
        return {"error": (error, wanted.error)}
    if error:
        return {}
    found = {}
    if flags != wanted.flags:
        found["flags"] = (flags, wanted.flags)
    places = np.flatnonzero(after != wanted.memory)
    if places.size:
        found["places"] = places.tolist()
    return found
