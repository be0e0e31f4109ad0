# amaranth: UnusedElaboratable=no
"""States of passes: read, adapted as the emulator does, and written whole."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.array import array
from gscn.emulator.encode import _Kept, _Pass
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_STATE
from gscn.hw.encode.state import EncodeState
from tests.hw.encode.walks import unpacked
from tests.hw.memory import Memory
from tests.hw.streams import collect, never, randomly, simulate

COUNTED = ("kept_a", "kept_b", "nonzeros", "elements", "largest", "flags")
EDGES = (0, 1, 0x80, 0x3F80, 0x7F7F, 0x7F80, 0x800000, 0x7F7FFFFF, 0xFFFFFFFF)


def random_pass(source):
    """Return fields of a descriptor, a state, and what was counted and chosen."""
    f = {f"count{n}": 1 for n in range(8)} | {"adapt": source.randint(0, 3)}
    f |= {"out_format": source.randint(1, 2), "bin_bits": source.randint(1, 8)}
    f["bin_shift"] = source.randint(0, 16 * f["out_format"] - 1 - f["bin_bits"])
    for part in "ab":
        f[f"{part}_end"] = source.choice((0, 64))
    state = {one.name: source.getrandbits(one.width) for one in ENCODE_STATE.fields}
    state["prefix"] = source.randint(0, 200)
    state["threshold_a"], state["step"] = source.choice(EDGES), source.choice((1, 128, 1 << 23))
    state["low"], state["high"] = sorted((source.randint(0, 9), source.randint(0, 9)))
    counted = {one: source.randint(0, 9) for one in COUNTED}
    return f, state, counted, (source.getrandbits(32), source.getrandbits(32))


def after(f, state, counted, halfwords, bins):
    """Return the state that the emulator writes, and the choice of a selection."""
    work = _Pass.__new__(_Pass)
    work.d = unpacked(f)
    work.state = ENCODE_STATE.pack(**state).reshape(-1)[0].copy()
    for part, size in zip("ab", halfwords, strict=True):
        if f[f"{part}_end"]:
            work.state[f"{part}_halfwords"] = size
    work.kept = _Kept(kept=[counted["kept_a"], counted["kept_b"]], bins=bins)
    for name in COUNTED[2:]:
        setattr(work.kept, name, counted[name])
    written = []
    work._put = lambda _, content: written.append(content.tobytes())
    before = int(work.state["prefix"]) if f["adapt"] == 3 else 0
    work._write_state()
    mask = (1 << f["bin_bits"]) - 1
    chosen = {"bin": int(work.state["prefix"]) & mask, "rank": int(work.state["rank"])}
    assert f["adapt"] < 2 or int(work.state["prefix"]) >> f["bin_bits"] == before
    return written[0], chosen


@pytest.mark.parametrize(("width", "beats"), [(64, 4), (128, 4), (512, 4)])
def test_a_state_is_what_the_emulator_makes_of_it(width, beats):
    config = array("small").with_overrides(
        [f"mem_width={width}", f"burst_beats={beats}", "drain_width=1"]
    )
    source = random.Random(width)
    memory = Memory(config, pauses=randomly(width))
    passes = [random_pass(source) for _ in range(16)]
    dut = EncodeState(config=config)
    wanted, beats_out, commands = [], [], []

    async def testbench(ctx):
        for f, state, counted, halfwords in passes:
            bins = np.array([source.choice((0, 0, 1, 7)) for _ in range(256)], dtype=np.int64)
            content, chosen = after(f, state, counted, halfwords, bins)
            wanted.append(content)
            addr = memory.reserve(64)
            memory.data[addr:] = ENCODE_STATE.pack(**state).tobytes()
            d = ENCODE_DESCRIPTOR.pack(**f | {"state_addr": addr}).reshape(-1)[0]
            names = dut.settings.shape().members
            ctx.set(dut.settings, {name: int(d[name]) for name in names})
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await ctx.tick().until(dut.filled)
            got = {one.name: int(ctx.get(dut.state[one.name])) for one in ENCODE_STATE.fields}
            assert got == state
            ctx.set(dut.tally, counted)
            ctx.set(dut.halfwords_a, halfwords[0])
            ctx.set(dut.halfwords_b, halfwords[1])
            ctx.set(dut.choice, chosen)
            ctx.set(dut.finish, 1)
            await ctx.tick()
            ctx.set(dut.finish, 0)
            bursts = -(-64 // (config.mem_bytes * config.burst_beats))
            for _ in range(bursts):
                assert not ctx.get(dut.done)
                await ctx.tick().repeat(12)
                ctx.set(dut.write_done, 1)
                await ctx.tick()
                ctx.set(dut.write_done, 0)
            assert ctx.get(dut.done)

    count = len(passes) * 64 // config.mem_bytes
    bursts = len(passes) * max(1, 64 // (config.mem_bytes * config.burst_beats))
    simulate(
        dut, testbench, collect(dut.write_data, beats_out, count, randomly(1)),
        collect(dut.write_command, commands, bursts, never()),
        background=[memory.serve_reads([dut.command], dut.data, dut.data_valid)], cycles=4000,
    )  # fmt: skip
    written = b"".join(one["data"].to_bytes(config.mem_bytes, "little") for one in beats_out)
    assert written == b"".join(wanted)
    assert all(one["strobe"] == (1 << config.mem_bytes) - 1 for one in beats_out)
    assert [one["addr"] for one in commands] == [
        64 * n + at for n in range(len(passes)) for at in range(0, 64, 64 * len(passes) // bursts)
    ]
