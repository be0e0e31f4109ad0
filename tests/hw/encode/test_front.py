# amaranth: UnusedElaboratable=no
"""The front of the encode unit: from records to vectors, and states, as the emulator has them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.array import array
from gscn.emulator.encode import _Kept, _Pass
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_MODE, ENCODE_STATE, EncodeError
from gscn.hw.encode.front import EncodeFront
from gscn.hw.encode.record_program import KEPT_OF_STATE, SETTINGS
from tests.hw.encode.unit_memory import WrittenMemory
from tests.hw.encode.walks import expected_places, random_walk, unpacked
from tests.hw.streams import collect, randomly, reused, simulate

CONFIG = array("small").with_overrides(["drain_width=1"])
COUNTED = ("kept_a", "kept_b", "nonzeros", "elements", "largest", "flags")
EDGES = (0, 1, 0x80, 0x3F80, 0x7F7F, 0x7F80, 0x800000, 0x7F7FFFFF, 0xFFFFFFFF)
LIST = {"begin": 1 << 16, "end": (1 << 16) + 512}
RECORD, STATE_PLACE, ROOM = 0, 512, 1 << 14
"""Where things are, and where a pass may write strips."""


def random_pass(source):
    """Return fields of a pass without an error, a state, and what is counted and chosen."""
    f = random_walk(source, most=2) | {"mode": ENCODE_MODE, "t0_format": 1}
    f |= {f"t{n}_step{loop}": 0 for n in range(3) for loop in range(8)}
    f |= {"transposed": 0} | ({"count2": 2, "count4": 1, "count3": 1} if f["transposed"] else {})
    positions = int(np.prod([f[f"count{n}"] for n in range(5)]))
    f |= dict.fromkeys(("period", "segment", "a_positions", "b_positions"), positions)
    f |= {"out_format": source.randint(1, 2), "bin_bits": source.randint(1, 8)}
    f["bin_shift"] = source.randint(0, 16 * f["out_format"] - 1 - f["bin_bits"])
    f |= {"adapt": source.randint(0, 3), "thresholds": 1, "state_addr": STATE_PLACE}
    f |= {"rows_addr": ROOM // 2, "dense_end": f["dense_addr"]}
    f |= {"second_addr": f["dense_addr"], "second_end": f["dense_addr"]}
    for n in range(3):
        f[f"t{n}_end"] = f[f"t{n}_addr"] = 4096
    for place, part in enumerate("ab"):
        f[f"{part}_data"] = (2 + 4 * place) * ROOM
        f[f"{part}_end"] = f[f"{part}_data"] + source.choice((0, 64))
        f[f"{part}_table"] = (3 + 4 * place) * ROOM
    state = {one.name: source.getrandbits(one.width) for one in ENCODE_STATE.fields}
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
        if f[f"{part}_end"] != f[f"{part}_data"]:
            work.state[f"{part}_halfwords"] = size
    work.kept = _Kept(kept=[counted["kept_a"], counted["kept_b"]], bins=bins)
    for name in COUNTED[2:]:
        setattr(work.kept, name, counted[name])
    written = []
    work._put = lambda _, content: written.append(content.tobytes())
    work._write_state()
    mask = (1 << f["bin_bits"]) - 1
    chosen = {"bin": int(work.state["prefix"]) & mask, "rank": int(work.state["rank"])}
    return written[0], chosen


async def one_pass(ctx, dut, memory, drawn, source):
    """Run one pass; return whether the front held what it must, and where its vectors were."""
    f, state, counted, halfwords = drawn
    bins = np.array([source.choice((0, 0, 1, 7)) for _ in range(256)], dtype=np.int64)
    content, chosen = after(f, state, counted, halfwords, bins)
    memory.data[RECORD:STATE_PLACE] = ENCODE_DESCRIPTOR.pack(**f).tobytes()
    memory.data[STATE_PLACE : STATE_PLACE + 64] = ENCODE_STATE.pack(**state).tobytes()
    ctx.set(dut.start.p, {"addr": RECORD, "list_range": LIST})
    ctx.set(dut.start.valid, 1)
    await ctx.tick().until(dut.start.ready)
    ctx.set(dut.start.valid, 0)
    await ctx.tick().until(dut.begin)
    d = unpacked(f)
    settings = dut.settings.shape().members
    for name in SETTINGS:
        mask = (1 << settings[name].width) - 1
        assert int(ctx.get(dut.settings[name])) & mask == getattr(d, name) & mask, name
    first = f["adapt"] == 2
    held = state | ({"rank": state["keep"]} if first else {})
    for name in KEPT_OF_STATE:
        assert ctx.get(dut.state[name]) == held[name], name
    taken, count = 0, len(expected_places(d, CONFIG.addr_width))
    while taken < count:
        _, _, valid, ready = await ctx.tick().sample(dut.o.valid, dut.o.ready)
        taken += valid and ready
    ctx.set(dut.tally, counted)
    ctx.set(dut.halfwords, list(halfwords))
    ctx.set(dut.choice, chosen)
    ctx.set(dut.finish, 1)
    await ctx.tick()
    ctx.set(dut.finish, 0)
    await ctx.tick().until(~dut.busy)
    assert ctx.get(dut.error) == 0
    assert bytes(memory.data[STATE_PLACE : STATE_PLACE + 64]) == content


@pytest.mark.parametrize(("width", "beats"), [(64, 4), (128, 8), (512, 4)])
def test_a_pass_is_walked_and_its_state_is_adapted(width, beats):
    config = CONFIG.with_overrides([f"mem_width={width}", f"burst_beats={beats}"])
    source = random.Random(width)
    passes = [random_pass(source) for _ in range(3)]
    memory = WrittenMemory(
        config, bytes(576), pauses=randomly(1), write_pauses=randomly(2)
    )  # fmt: skip
    dut = reused(EncodeFront, config=config)
    received = []
    wanted = [p for f, *_ in passes for p in expected_places(unpacked(f), config.addr_width)]

    async def testbench(ctx):
        for drawn in passes:
            await one_pass(ctx, dut, memory, drawn, source)

    simulate(
        dut, testbench, collect(dut.o, received, len(wanted), randomly(3)),
        background=[
            memory.serve_reads([dut.command], dut.data, dut.data_valid),
            memory.serve_writes(dut.write_command, dut.write_data, dut.write_done),
        ],
        cycles=2000 * len(passes) + 3 * len(wanted),
    )  # fmt: skip
    present = {"t0": 0}
    for one, other in zip(received, wanted, strict=True):
        assert {**one, "addrs": 0} == {**other, "addrs": 0}
        assert all(one["addrs"][n] == other["addrs"][n] for n in present.values())
    assert all(addr == STATE_PLACE or addr < STATE_PLACE + 64 for addr, _ in memory.writes)


def test_a_bad_record_is_an_error_and_the_next_pass_has_none():
    config = CONFIG
    source = random.Random(3)
    drawn = random_pass(source)
    memory = WrittenMemory(config, bytes(576))
    dut = reused(EncodeFront, config=config)

    async def testbench(ctx):
        bad = drawn[0] | {"a_positions": 0}
        memory.data[RECORD:STATE_PLACE] = ENCODE_DESCRIPTOR.pack(**bad).tobytes()
        ctx.set(dut.start.p, {"addr": RECORD, "list_range": LIST})
        ctx.set(dut.start.valid, 1)
        await ctx.tick().until(dut.start.ready)
        ctx.set(dut.start.valid, 0)
        await ctx.tick().until(~dut.busy)
        assert ctx.get(dut.error) == EncodeError.WALK
        ctx.set(dut.o.ready, 1)
        await one_pass(ctx, dut, memory, drawn, source)

    simulate(
        dut, testbench,
        background=[
            memory.serve_reads([dut.command], dut.data, dut.data_valid),
            memory.serve_writes(dut.write_command, dut.write_data, dut.write_done),
        ],
        cycles=5000,
    )  # fmt: skip
