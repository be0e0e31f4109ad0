# amaranth: UnusedElaboratable=no
"""The PE of an array: whole jobs against the law in plain Python, under any back-pressure."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS
from gscn.formats import NUMBER_FORMATS
from gscn.hw.array_layouts import WordKind
from gscn.hw.pe.worker import Worker
from tests import floats
from tests.hw.memories import memories_of
from tests.hw.streams import in_runs, randomly, reused, simulate
from tests.hw.words import random_plan
from tests.hw.workers import Bench

CONFIG = dataclasses.replace(ARRAYS["tiny"], stationary_depth=64, directory_depth=64)
FLOATS = dataclasses.replace(CONFIG, float_formats="bf16,fp16,fp8_e4m3,fp8_e5m2")


def check(plan, **options):
    bench = Bench(plan, **options).run()
    products = [one for part in plan.parts for one in plan.products(part)]
    assert bench.drained == plan.sums(bench.mode)
    assert bench.counts["mark"] == len(plan.parts)
    assert bench.counts["job_end"] == len(plan.jobs())
    assert bench.counts["busy"] == len(products)
    assert bench.counts["index_error"] == plan.index_errors()
    if bench.mode is None:
        assert bench.counts["overflow"] == 0
    return bench


@pytest.mark.parametrize("source", ["no pause", "idle source"])
@pytest.mark.parametrize("drain", ["no pause", "stalled drain"])
@pytest.mark.parametrize("seed", range(2))
def test_jobs_back_to_back_through_a_window_that_slides(seed, source, drain):
    check(
        random_plan(random.Random(seed), CONFIG, jobs=4),
        seed=seed,
        source=in_runs(7) if source == "idle source" else None,
        drain=randomly(8) if drain == "stalled drain" else None,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"drain_width": 1},
        {"drain_width": 8, "acc_depth": 296, "mem_width": 512},
        {"acc_depth": 16, "drain_width": 8, "mem_width": 512},
        {"acc_depth": 512, "drain_width": 4, "mem_width": 256},
        {"operand_format": "int8", "acc_width": 24},
        {"word_depth": 2, "fiber_depth": 2},
        {"word_depth": 7, "fiber_depth": 5},
        {"stationary_depth": 16, "directory_depth": 128},
        {"stationary_depth": 128, "directory_depth": 16},
    ],
    ids=str,
)
def test_other_sizes_equal_the_law(changes):
    config = dataclasses.replace(CONFIG, **changes)
    rng = random.Random(3)
    check(random_plan(rng, config, jobs=3), source=randomly(4, 0.2))


def test_products_for_no_accumulator_are_counted_and_change_nothing():
    plan = random_plan(random.Random(6), CONFIG, jobs=3, wild=True)
    assert 0 < plan.index_errors() < sum(map(len, plan.jobs()))
    check(plan)


@pytest.mark.parametrize("fmt", NUMBER_FORMATS[1:], ids=lambda fmt: fmt.name)
def test_floating_point_equals_the_law(fmt):
    mode = floats.Mode(fmt, 2 * fmt.bias + 9)
    plan = random_plan(random.Random(9), FLOATS, jobs=2)
    for part in plan.parts:  # codes of the format, any of them
        part.words = [{**word, "value": code(word["value"], fmt)} for word in part.words]
        part.chunk.fibers = [
            [(code(value, fmt), offset) for value, offset in fiber] for fiber in part.chunk.fibers
        ]
    check(plan, mode=mode)


def code(value, fmt):
    return floats.signed(value % (1 << fmt.width), 16)


def test_integers_of_an_array_with_float_formats_equal_the_law():
    check(random_plan(random.Random(10), FLOATS, jobs=2))


@pytest.mark.parametrize("config", [CONFIG, FLOATS], ids=["integers", "floats"])
def test_marks_ends_and_sums_come_after_their_latencies(config):
    """Of integers: latencies are those of the array, not of the format."""
    dut = reused(Worker, config=config)
    end = Worker.END_CYCLES + (Worker.FLOAT_CYCLES if config.floats else 0)
    blank = dict.fromkeys(("value", "key", "span", "rows", "offset"), 0)
    mac = {"kind": WordKind.MAC, "job_end": 0, "value": 7, "key": 5, "span": 1, "rows": 0,
           "offset": 2}  # fmt: skip
    seen = []

    async def testbench(ctx):
        load = dut.load
        for key, start in ((5, 8), (6, 9)):
            ctx.set(load.key_en, 1)
            ctx.set(load.key, key)
            ctx.set(load.start, start)
            ctx.set(load.entry_en, 1)
            ctx.set(load.entry_addr, 8)
            ctx.set(load.entries[0], {"value": 6, "offset": 3})
            await ctx.tick()
        ctx.set(load.key_en, 0)
        ctx.set(load.entry_en, 0)
        ctx.set(dut.i.valid, 1)
        for cycle in range(end + Worker.DRAIN_CYCLES + 3):
            ends = {**blank, "kind": WordKind.END, "job_end": 1}
            ctx.set(dut.i.p, mac if cycle == 0 else ends)
            ctx.set(dut.i.valid, cycle < 2)
            # cycle 1: the END is offered
            ctx.set(dut.drain, {"en": cycle == 1 + end, "bank": 0, "row": 2})
            _, _, mark, job_end, pending, sums = await ctx.tick().sample(
                dut.mark, dut.job_end, dut.pending, dut.sums
            )
            assert pending == (0 < cycle <= 1 + end)
            seen.append((int(mark), int(job_end), int(sums[1]["sum"])))

    simulate(dut, testbench, cycles=60)
    assert [cycle for cycle, (mark, *_) in enumerate(seen) if mark] == [1 + Worker.MARK_CYCLES]
    assert [cycle for cycle, (_, ended, _) in enumerate(seen) if ended] == [1 + end]
    assert seen[1 + end + Worker.DRAIN_CYCLES][2] == 42


def test_a_worker_has_one_memory_for_each_purpose_and_none_large_is_read_without_a_clock():
    found = {name: rest for name, *rest in memories_of(Worker(config=ARRAYS["large"]))}
    sums = {f"accumulators.bank{bank}_{lane}" for bank in range(2) for lane in range(4)}
    large = {"lookup.low", "lookup.high", "walker.entries0", "walker.entries1", *sums}
    queues = {name for name, (_, _, _, domains) in found.items() if domains == ["comb"]}
    assert set(found) - queues == large
    assert all(found[name][0] <= CONFIG.word_depth for name in queues)
    assert all(found[name][2:] == [1, ["sync"]] for name in large)
