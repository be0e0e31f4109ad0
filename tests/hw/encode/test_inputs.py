# amaranth: UnusedElaboratable=no
"""Inputs of lanes, vector by vector, against the emulator's walk; errors; cycles."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gscn.array import array
from gscn.encode import EncodeError
from gscn.formats import BF16
from gscn.hw.encode.inputs import Inputs
from gscn.strips import encode, map_bounds
from tests.emulator.test_encode import copied as plain_pass
from tests.encode_passes import encode_passes
from tests.hw.encode.walked import Walked, memory_of, parts_of, raw, seen, settings_of
from tests.hw.memory import Memory
from tests.hw.streams import collect, drive, in_runs, never, randomly, reused, simulate


def configured(width):
    return array("small").with_overrides(
        ["float_formats=bf16", f"mem_width={width}", "drain_width=1", "burst_beats=4"]
    )


def run(config, walked, *, latency=5, pauses=(never, never, never), depth=4, vectors=80):
    """Return words and the cycles of each, of passes one behind the other."""
    strips = bool(walked.d.t0_strips)
    sizes = {"depth": depth, "vectors": vectors, "integers": walked.integers}
    dut = reused(Inputs, config=config, strips=strips, **sizes)
    memory = Memory(config, latency=latency, pauses=pauses[2]())
    memory_of(memory, walked.memory)
    received, cycles = [], []

    async def begin(ctx):
        ctx.set(dut.settings, settings_of(config, walked.d))
        ctx.set(dut.columns, walked.groups)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await drive(raw(dut.i), walked.places, pauses[0]())(ctx)

    beats = memory.serve_reads([dut.command], dut.beats.payload, dut.beats.valid)
    simulate(
        dut,
        begin,
        collect(raw(dut.o), received, len(walked.inputs), pauses[1](), cycles=cycles),
        cycles=2000 + (40 + 10 * latency) * len(walked.inputs),
        background=(beats,),
    )
    return [seen(config, walked.d, word) for word in received], cycles, memory


def check(config, walked, **more):
    received, cycles, memory = run(config, walked, **more)
    layout = Inputs(config=config, depth=2, strips=False, vectors=2).o.p.shape()
    for number, (got, wanted) in enumerate(zip(received, walked.inputs, strict=True)):
        if got != wanted:
            got, wanted = parts_of(layout, got), parts_of(layout, wanted)
            wrong = {k: (hex(got[k]), hex(v)) for k, v in wanted.items() if got[k] != v}
            pytest.fail(f"vector {number}: {wrong}")
    return cycles, memory


@pytest.mark.parametrize("width", [64, 128, 512])
@settings(deadline=None, max_examples=2, suppress_health_check=list(HealthCheck))
@given(encode_passes(True), st.integers(0, 1000))
def test_any_walk_gives_what_the_emulator_reads(width, drawn, seed):
    fields, memory = drawn
    assume(not fields.get("t0_strips"))
    assume(not fields["transposed"])
    assume(np.prod([fields[f"count{n}"] for n in range(8)]) << fields["vectors"] <= 60)
    pauses = (lambda: in_runs(seed), lambda: randomly(seed, 0.3), lambda: randomly(seed + 1, 0.2))
    latency = random.Random(seed).randint(1, 40)
    check(configured(width), Walked(configured(width), memory), latency=latency, pauses=pauses)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "strips"), [(64, 0), (512, 0), (128, 1)])
@settings(deadline=None, max_examples=1, suppress_health_check=list(HealthCheck))
@given(encode_passes(False), st.integers(0, 1000))
def test_any_walk_of_integers_gives_what_the_emulator_reads(width, strips, drawn, seed):
    fields, memory = drawn
    assume(fields.get("t0_strips", 0) == strips)
    assume(np.prod([fields[f"count{n}"] for n in range(8)]) << fields["vectors"] <= 60)
    pauses = (lambda: in_runs(seed), lambda: randomly(seed, 0.3), lambda: randomly(seed + 1, 0.2))
    check(configured(width), Walked(configured(width), memory), latency=9, pauses=pauses)


@settings(deadline=None, max_examples=1, suppress_health_check=list(HealthCheck))
@given(encode_passes(True), st.integers(0, 1000))
def test_any_transposed_walk_gives_what_the_emulator_reads(drawn, seed):
    (fields, memory), width = drawn, 512
    assume(fields["transposed"])
    assume(np.prod([fields[f"count{n}"] for n in range(8)]) << fields["vectors"] <= 300)
    pauses = (lambda: in_runs(seed), lambda: randomly(seed, 0.3), lambda: randomly(seed + 1, 0.2))
    latency = random.Random(seed).randint(1, 40)
    check(configured(width), Walked(configured(width), memory), latency=latency, pauses=pauses)


def copied(number_format, positions, **more):
    """Return fields and places of a pass over one dense tensor of 16 channels."""
    codes = np.arange(1, 16 * positions + 1, dtype="<u2")
    codes = codes if number_format == 1 else codes.astype("<u4") << 16
    fields, places = plain_pass(codes, number_format)
    return fields | more, places


@pytest.mark.parametrize(
    ("number_format", "width", "cycles"), [(1, 512, 1), (1, 256, 1), (2, 512, 1)]
)
def test_a_long_latency_is_hidden_at_a_vector_a_cycle(number_format, width, cycles):
    fields, places = copied(number_format, 240)
    walked = Walked(configured(width), places.memory(fields))
    depth = 64 * number_format
    taken, memory = check(configured(width), walked, latency=100, depth=depth, vectors=160)
    # the first ones wait for rows and lines; from then on none does
    assert taken[-1] - taken[0] == cycles * 239
    lines = 240 * number_format // 2
    beats = sum(beats for _, beats in memory.reads)
    assert beats == (lines + 8) * (512 // width)


SPOILT = {
    "it ends too early": {"t0_end": -2},
    "it begins too late": {"t0_addr": 32},
    "the second one ends too early": {"t1_end": -2},
    "the mask ends too early": {"mask_end": -2},
}


def with_second_and_mask():
    fields, places = copied(1, 8)
    mask = places.put(np.full(16, 0xFF, dtype=np.uint8))
    fields |= {f"t1{name[2:]}": fields[name] for name in list(fields) if name.startswith("t0_")}
    fields |= {"masked": 1, "mask_addr": mask, "mask_end": mask + 16, "mask_step0": 2}
    return fields, places


@pytest.mark.parametrize("changes", SPOILT.values(), ids=list(SPOILT))
def test_a_vector_outside_its_range_is_an_error_and_the_next_pass_has_none(changes):
    fields, places = with_second_and_mask()
    config = configured(128)
    walked = Walked(config, places.memory(fields))
    bad = settings_of(config, walked.d)
    bad |= {name: bad[name] + change for name, change in changes.items()}
    dut = reused(Inputs, config=config, depth=4, strips=False, vectors=80)
    memory = Memory(config)
    memory_of(memory, walked.memory)
    received, errors = [], []

    async def testbench(ctx):
        for fields, paused in ((bad, True), (settings_of(config, walked.d), False)):
            ctx.set(dut.settings, fields)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.o.ready, 0)
            await drive(raw(dut.i), walked.places)(ctx)
            await ctx.tick().repeat(60)
            assert ctx.get(dut.quiet)
            errors.append(ctx.get(dut.error))
            ctx.set(dut.o.ready, 1)
            while not paused and len(received) < len(walked.inputs):
                _, _, valid, word = await ctx.tick().sample(dut.o.valid, dut.o.p.as_value())
                if valid:
                    received.append(word)

    beats = memory.serve_reads([dut.command], dut.beats.payload, dut.beats.valid)
    simulate(dut, testbench, cycles=1000, background=(beats,))
    assert errors == [EncodeError.RANGE, EncodeError.NONE]
    assert [seen(config, walked.d, word) for word in received] == walked.inputs


def test_values_that_are_not_there_may_be_outside():
    fields, places = copied(1, 8)
    fields |= {"channels": 15, "group_channels": 15, "t0_end": fields["t0_end"] - 2}
    check(configured(64), Walked(configured(64), places.memory(fields)))


def test_nothing_is_asked_for_where_nothing_is_there():
    fields, places = with_second_and_mask()
    fields |= {"y_first": -1, "y_step0": 1, "y_limit": 1, "t1_step0": 0}
    _, memory = check(configured(512), Walked(configured(512), places.memory(fields)))
    # of eight vectors one is there: the mask has a line, and both tensors, as they are the same
    assert len(memory.reads) == 8 + 2


def test_nothing_is_asked_for_after_a_halt():
    config = configured(512)
    fields, places = copied(1, 8)
    walked = Walked(config, places.memory(fields))
    dut = reused(Inputs, config=config, depth=4, strips=False, vectors=80)

    async def testbench(ctx):
        ctx.set(dut.halt, 1)
        ctx.set(dut.command.ready, 1)
        ctx.set(dut.settings, settings_of(config, walked.d))
        await drive(raw(dut.i), walked.places)(ctx)
        for _ in range(20):
            _, _, asks, quiet = await ctx.tick().sample(dut.command.valid, dut.quiet)
            assert quiet
            assert not asks

    simulate(dut, testbench, cycles=100)


def test_strips_may_stand_in_the_place_of_a_tensor():
    fields, places = copied(1, 24)
    generator = np.random.default_rng(1)
    codes = generator.integers(1, 0xFF80, (2, 6, 32)).astype("<u2")
    codes[generator.random(codes.shape) < 0.8] = 0
    found = encode(codes, map_bounds(2, 3, 1, 2), BF16)
    start, rows = places.put(found.data), generator.integers(0, 1 << 32, 64 * 8)
    fields |= {f"t1{name[2:]}": fields[name] for name in list(fields) if name.startswith("t0_")}
    fields |= {
        "t1_end": fields["t1_end"], "t1_vector": 32, "t1_step0": 0,
        "t0_strips": 1, "t0_addr": start, "t0_end": start + 2 * found.halfwords,
        "t0_table": places.put(found.table.astype("<u4")), "absolute": 1, "vectors": 1,
        "count0": 3, "count1": 2, "count5": 2, "channels": 63, "group_channels": 32, "period": 3,
        "a_positions": 2, "segment": 6, "rows_addr": places.put(rows.astype("<u4")),
    }  # fmt: skip
    walked = Walked(configured(256), places.memory(fields))
    assert len(walked.inputs) == 24
    check(configured(256), walked, pauses=(lambda: in_runs(1), lambda: randomly(1, 0.3), never))
