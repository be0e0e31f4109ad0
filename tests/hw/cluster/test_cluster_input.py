# amaranth: UnusedElaboratable=no
"""The input of a cluster with a memory and PEs in plain Python, against the law."""

from __future__ import annotations

import dataclasses
import random
from collections import deque

import numpy as np
import pytest

from gscn.array import ARRAYS, ArrayConfig
from gscn.hw.array_layouts import WordKind
from gscn.hw.cluster.cluster_input import ClusterInput
from gscn.hw.input_layouts import InputState
from gscn.pass_errors import PassError
from gscn.passes import VECTOR, Mode
from tests.hw.memory import Memory
from tests.hw.passes import PASS_FIELDS, random_correlate, random_kernel
from tests.hw.streams import drive, in_runs, never, plain, reused, simulate

TINY = ARRAYS["tiny"]
CONFIGS = {
    "tiny": dataclasses.replace(TINY, acc_depth=1152, directory_depth=1024, stationary_depth=1024),
    "narrow": dataclasses.replace(
        TINY, acc_depth=600, pes=1, drain_width=1, mem_width=64, burst_beats=1, read_fifo_beats=2,
        operand_format="int8", directory_depth=512, stationary_depth=512, job_depth=1,
    ),
    "wide": dataclasses.replace(
        TINY, pes=4, mem_width=512, acc_depth=2304, directory_depth=1024, stationary_depth=2048,
        word_depth=2,
    ),
}  # fmt: skip
MAKERS = {Mode.KERNEL: random_kernel, Mode.CORRELATE: random_correlate}


class Workers:
    """PEs that take their time: words are looked up when they are walked, not when they come."""

    def __init__(self, dut, config: ArrayConfig, *, seed: int, pace: float):
        self.dut, self.config = dut, config
        self.rng = random.Random(seed)
        self.pace = pace
        count = config.pes
        self.entries = [(0, 0)] * config.stationary_depth
        self.starts = [0] * config.directory_depth
        self.queues = [deque() for _ in range(count)]
        self.sums = [[np.zeros(config.acc_depth, dtype=object)] for _ in range(count)]
        self.dealt = [0] * count
        self.cleared = 0
        self.kinds = []
        self.states = set()
        self.row_keys = self.row_step = 0

    def results(self):
        """Return the sums of each drained tile, of all PEs."""
        tiles = min(len(sums) for sums in self.sums) - 1
        return [sum(sums[n] for sums in self.sums) for n in range(tiles)]

    def load(self, load):
        config = self.config
        for lane in range(2):
            if load["entry_en"] >> lane & 1:
                place = (load["entry_addr"] + lane) % config.stationary_depth
                entry = load["entries"][lane]
                self.entries[place] = (entry["value"], entry["offset"])
        if load["key_en"]:
            self.starts[load["key"]] = load["start"]

    def walk(self, number, word):
        """Add the products of a word."""
        config, sums = self.config, self.sums[number][-1]
        for row in range(word["rows"] + 1):
            key = word["key"] + row * self.row_keys
            end = self.starts[(key + word["span"]) % config.directory_depth]
            at = self.starts[key % config.directory_depth]
            while at != end:
                value, offset = self.entries[at]
                index = offset + word["offset"] + row * self.row_step
                sums[index % (1 << config.index_width)] += value * word["value"]
                at = (at + 1) % config.stationary_depth

    async def bench(self, ctx):
        dut, config = self.dut, self.config
        clearing = [0, 3]
        ended = [0] * config.pes
        cycle = 0
        while True:
            for number, queue in enumerate(self.queues):
                ctx.set(dut.levels[number], len(queue))
                ctx.set(dut.o[number].ready, len(queue) < config.word_depth)
            clears = bool(clearing) and clearing[0] <= cycle
            ctx.set(dut.bank_cleared, clears)
            if clears:
                clearing.pop(0)
                self.cleared += 1
            ports = [part for o in dut.o for part in (o.valid, o.p)]
            _, _, load, keys, step, state, *words = await ctx.tick().sample(
                dut.load, dut.row_keys, dut.row_step, dut.state, *ports
            )
            self.row_keys, self.row_step = int(keys), int(step)
            self.states.add(state)
            marks = 0
            # a word is walked before what is loaded in this cycle is there
            for number, queue in enumerate(self.queues):
                if queue and self.rng.random() < self.pace:
                    word = queue.popleft()
                    if word["kind"] == WordKind.MAC:
                        self.walk(number, word)
                    else:
                        marks |= 1 << number
                        if word["kind"] == WordKind.END and word["job_end"]:
                            self.sums[number].append(np.zeros(config.acc_depth, dtype=object))
                            ended[number] += 1
                            if min(ended) == ended[number]:
                                clearing.append(cycle + self.rng.randint(2, 60))
            self.load(plain(load))
            fired = [bool(valid) for valid in words[::2]]
            for number, queue in enumerate(self.queues):
                if fired[number]:
                    word = plain(words[2 * number + 1])
                    if word["kind"] == WordKind.MAC:
                        assert sum(fired) == 1
                        assert self.cleared >= len(self.sums[number]) - 1
                        self.dealt[number] += 1
                    else:
                        assert all(fired)
                    self.kinds.append(word["kind"])
                    queue.append(word)
            ctx.set(dut.marks, marks)
            cycle += 1


def run(
    passes, config, *, seed, pace=0.6, latency=5, memory=None, image, source=never, watcher=None
):
    """Run passes; return the PEs. `watcher` makes another testbench for the design."""
    # Wide: what varies from test to test, by name
    dut = reused(ClusterInput, config=config)
    workers = Workers(dut, config, seed=seed, pace=pace)
    image.latency = latency
    image.pauses = never() if memory is None else memory
    expected = []
    for made in passes:
        sums = np.zeros(config.acc_depth, dtype=object)
        for job in made.jobs:
            made.add_up(job, sums)
            if job["drains"]:
                expected.append(sums)
                sums = np.zeros(config.acc_depth, dtype=object)
        assert not sums.any() or made.jobs[-1]["drains"]

    async def watch(ctx):
        async for *_, error in ctx.tick().sample(dut.error):
            if error:
                pytest.fail(PassError(int(error)).name)

    async def core(ctx):
        for made in passes:
            ctx.set(dut.d, dict.fromkeys(PASS_FIELDS, 0) | made.fields)
            ctx.set(dut.begin, 1)
            await ctx.tick()
            ctx.set(dut.begin, 0)
            await drive(dut.job, made.jobs, source())(ctx)
            target = sum(
                job["drains"] for one in passes[: passes.index(made) + 1] for job in one.jobs
            )
            while len(workers.results()) < target or any(workers.queues):
                await ctx.tick()
            await ctx.tick().repeat(4)

    simulate(
        dut,
        core,
        background=[
            *([] if watcher is None else [watcher(dut)]),
            image.serve_reads(list(dut.commands), dut.data, dut.data_valid),
            workers.bench,
            watch,
        ],
        cycles=60000,
    )
    got = workers.results()
    assert len(got) == len(expected)
    for mine, right in zip(got, expected, strict=True):
        assert (mine == right).all()
    return workers


def closed(made):
    """Let the last job drain, so that every sum is seen."""
    made.jobs[-1]["drains"] = 1
    return made


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_random_passes_sum_up_by_the_law(name, mode, seed):
    config = CONFIGS[name]
    rng = random.Random(repr((name, mode, seed)))
    image = Memory(config)
    image.reserve(64)
    made = closed(MAKERS[mode](rng, config, image))
    run(
        [made],
        config,
        seed=seed,
        image=image,
        pace=rng.choice([0.2, 0.6, 1]),
        latency=rng.randint(1, 20),
        memory=in_runs(seed),
    )


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_maps_that_are_held_sum_up_by_the_law(name, seed):
    config = CONFIGS[name]
    rng = random.Random(repr((name, seed)))
    image = Memory(config)
    image.reserve(64)
    made = closed(random_correlate(rng, config, image, chained=0, outputs=16, contracted=40))
    assert len({job["s_tile"] for job in made.jobs}) < len(made.jobs)
    reads = {"memory": in_runs(seed), "latency": rng.randint(1, 20)}
    run([made], config, seed=seed, image=image, pace=rng.choice([0.2, 0.6, 1]), **reads)


def most_entries(made):
    """Return the most entries and keys that a strip of the stream needs at a time."""
    d, held = made.fields, made.stationary != 0
    outputs = VECTOR << d["s_vectors"]
    chunks, axis, step = 1, 0, VECTOR << d["t_vectors"]
    if d["mode"] == Mode.CORRELATE:
        chunks = min(d["ahead"] + d["behind"] + 1, d["s_chunks"])
        axis, step = 1, d["s_outer"]
    most = 0
    for first in range(0, held.shape[axis], step):
        part = held.take(range(first, min(first + chunks * step, held.shape[axis])), axis=axis)
        for k in range(0, held.shape[3], outputs):
            counts = part[..., k : k + outputs].sum(axis=(1, 2, 3))
            most = max(most, int(counts.max() if axis else counts.sum()))
    return most, chunks * d["s_keys"]


@pytest.mark.parametrize(
    ("mode", "chained"), [(Mode.KERNEL, 0), (Mode.CORRELATE, 1), (Mode.CORRELATE, 0)]
)
@pytest.mark.parametrize("room", [1, 2])
def test_rings_just_as_large_as_they_must_be(mode, chained, room):
    rng = random.Random(repr((mode, room)))
    image = Memory(CONFIGS["wide"])
    image.reserve(64)
    wanted = {"contracted": 40, "t_vectors": 0, "outputs": 24}
    if mode == Mode.CORRELATE:
        wanted = {"samples": 3, "height": 6, "t_rows": 1, "s_rows": 1, "outputs": 20}
        wanted["chained"] = chained
    made = closed(MAKERS[mode](rng, CONFIGS["wide"], image, **wanted))
    made.jobs = made.jobs[:5]
    closed(made)
    entries, keys = most_entries(made)
    config = dataclasses.replace(
        CONFIGS["wide"],
        stationary_depth=max(16, room << entries.bit_length()),
        directory_depth=max(16, room << keys.bit_length()),
        chunks_depth=8,
    )
    made.config = config
    workers = run([made], config, seed=room, image=image, pace=0.3, latency=9)
    assert WordKind.MARK in workers.kinds


def test_passes_follow_each_other():
    config = CONFIGS["tiny"]
    rng = random.Random(11)
    image = Memory(config)
    image.reserve(64)
    makers = (random_kernel, random_correlate, random_kernel)
    wanted = {"samples": 1, "height": 3, "weights": 0.1}
    passes = [closed(make(rng, config, image, **wanted)) for make in makers]
    workers = run(passes, config, seed=3, image=image, source=lambda: in_runs(3, 60))
    assert {InputState.EMPTY, InputState.LOAD, InputState.MOVING} <= workers.states


def damage(image, made, part):
    """Damage an operand so that it shows in the first job."""
    d = made.fields
    if part == "table":
        at = d["t_table"] + 4 * d["t_groups"] * d["t_strips"]
        image.data[at : at + 4] = (d["t_halfwords"] + 1).to_bytes(4, "little")
        d["t_groups"], d["s_chunks"] = 1, 1
    elif part == "block":
        # the first block says that all its vectors have nonzeros
        image.data[d["t_data"] : d["t_data"] + 2] = b"\xff\xff"
    elif part == "channel":
        # the first nonzero has the last channel of 16, of which the chunk has one
        d["s_outer"] = d["s_outer_last"] = 1
        d["s_keys"] = d["s_mid"] * d["s_inner"]
        image.data[d["t_data"] + 2 : d["t_data"] + 4] = b"\x00\x80"
    else:
        # more keys than there is room for
        d["s_keys"] = made.config.directory_depth


@pytest.mark.parametrize(
    ("part", "error"),
    [
        ("table", PassError.TABLE), ("block", PassError.STRIP), ("channel", PassError.STRIP),
        ("keys", PassError.WINDOW),
    ],
)  # fmt: skip
def test_what_is_wrong_with_operands_is_reported(part, error):
    config = CONFIGS["tiny"]
    rng = random.Random(2)
    image = Memory(config)
    image.reserve(64)
    made = random_kernel(
        rng, config, image, samples=1, contracted=16, whole_samples=True, width=5, t_vectors=0,
        density=0.3,
    )  # fmt: skip
    damage(image, made, part)
    dut = reused(ClusterInput, config=config)
    workers = Workers(dut, config, seed=1, pace=1)
    found = []

    async def core(ctx):
        ctx.set(dut.d, dict.fromkeys(PASS_FIELDS, 0) | made.fields)
        await drive(dut.job, made.jobs[:1])(ctx)
        while not ctx.get(dut.error):
            await ctx.tick()
        found.append(ctx.get(dut.error))

    simulate(
        dut,
        core,
        background=[
            image.serve_reads(list(dut.commands), dut.data, dut.data_valid),
            workers.bench,
        ],
        cycles=3000,
    )
    assert found == [error]
