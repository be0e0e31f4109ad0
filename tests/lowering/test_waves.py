"""Weight gradients of 1x1 kernels in waves: exact, on tiles that stay, with streams in common."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gscn.config import AcceleratorConfig
from gscn.conv import ConvShape, Pass
from gscn.directories import DIRECTORY_LENGTHS
from gscn.lowering import LoweringOptions, lower, lower_again
from gscn.lowering.exchange import exchange_pairs
from gscn.lowering.planning import plan_waves
from gscn.lowering.pointwise import as_matrices
from gscn.lowering.waves import refinements, wave_tiles
from gscn.lowering.weight_grad import KernelProblem, channel_work
from gscn.program import Program
from gscn.records import TILE_HEADER, queue_entries, segment_descriptors
from tests.lowering.layers import operands
from tests.lowering.test_lower import WIDE, check

CONFIG = AcceleratorConfig(
    clusters=4, a_depth=32, directory_depth=16, acc_depth=256, mem_width=128, acc_width=40
)
LAYER = ConvShape(n=2, c=18, h=6, w=5, k=20, r=1, s=1, stride=(1, 2))
WAVES = LoweringOptions(waves=True)
GRAD = Pass.WEIGHT_GRAD


@st.composite
def _layers(draw: st.DrawFn) -> ConvShape:
    number = lambda low, high: draw(st.integers(low, high))  # noqa: E731
    sizes = {"h": number(1, 6), "w": number(1, 6), "c": number(8, 24), "k": number(8, 24)}
    stride = (number(1, 3), number(1, 3))
    return ConvShape(n=number(1, 3), r=1, s=1, stride=stride, **sizes)


@given(
    _layers(),
    st.sampled_from([0.05, 0.4, 1.0]),
    st.sampled_from(["first", "second"]),
    st.integers(0, 99),
)
def test_any_layer_in_waves_equals_the_oracle(shape, density, stationary, seed):
    first, second = operands(seed, shape, GRAD, density)
    options = LoweringOptions(waves=True, stationary=stationary)
    program = lower(CONFIG, shape, GRAD, first, second, WIDE, options)
    assert program.phases[0].in_turn
    check(program, first, second)
    again = lower_again(program.tiling, second=-second, first=first[::-1], out=WIDE)
    check(again, first[::-1], -second)


def _programs(
    first: np.ndarray,
    second: np.ndarray,
    config: AcceleratorConfig = CONFIG,
    **fields: object,
) -> list[Program]:
    """Lower LAYER to each tiling in waves that is planned, with other values of some fields."""
    program = lower(config, LAYER, GRAD, first, second, WIDE, WAVES)
    programs = []
    for stationary in ("first", "second"):
        numbered = as_matrices(LAYER, first, second)
        held = stationary == "first"
        problem = KernelProblem.of(*numbered, channel_work(*numbered), grads_held=held)
        for _, tiling in plan_waves(problem, config, most=99):
            plan = replace(program.tiling, stationary=stationary, tiling=replace(tiling, **fields))
            programs.append(lower_again(plan, first, second, WIDE))
    return programs


@pytest.mark.parametrize("field", refinements(CONFIG))
def test_every_tiling_and_refinement_is_exact(field):
    first, second = operands(3, LAYER, GRAD, 0.4)
    for value in refinements(CONFIG)[field]:
        programs = _programs(first, second, **{field: value})
        parts = {len(program.phases) for program in programs}
        assert parts == {1, 2}
        for program in programs:
            check(program, first, second)


def _jobs(program: Program) -> list[np.ndarray]:
    """Segment descriptors of the first phase's jobs, in queue order."""
    phase = program.phases[0]
    return [
        segment_descriptors(program.image, entry)
        for entry in queue_entries(program.image, phase.queue_addr, phase.job_count)
    ]


def test_clusters_have_streams_and_load_blocks_in_common():
    first, second = operands(4, LAYER, GRAD, 0.5)
    shared = 0
    for program in _programs(first, second, shares=(1,)):
        if len(program.phases) == 2:
            continue
        jobs = _jobs(program)
        tiles = {tuple(job["load_addr"]) for job in jobs}
        columns = {tuple(job["stream_addr"]) for job in jobs}
        # each pair once: one job for every cluster
        assert len(jobs) == CONFIG.clusters == len(tiles) * len(columns)
        shared += len(tiles) > 1 and len(columns) > 1
    assert shared


def test_a_later_wave_begins_with_the_blocks_that_the_wave_before_ended_with():
    first, second = operands(5, LAYER, GRAD, 0.6)
    for program in _programs(first, second, shares=(3, 1)):
        jobs = _jobs(program)
        assert len(jobs) == 2 * CONFIG.clusters
        for before, job in zip(jobs, jobs[CONFIG.clusters :], strict=False):
            assert before["load_addr"].size > 2
            assert job["load_addr"].tolist() == before["load_addr"][::-1].tolist()


def test_one_wave_if_the_banks_cannot_keep_a_tile():
    first, second = operands(5, LAYER, GRAD, 0.6)
    numbered = as_matrices(LAYER, first, second)
    problem = KernelProblem.of(*numbered, channel_work(*numbered), grads_held=True)
    for config in (CONFIG, replace(CONFIG, a_depth=256, directory_depth=256)):
        for _, tiling in plan_waves(problem, config, most=99):
            entries = np.count_nonzero(first) / (len(tiling.held) * config.pes_per_cluster)
            kept = entries <= 2 * config.a_depth and tiling.parts == 1
            assert (len(tiling.shares) > 1) == kept


def test_blocks_are_asked_for_only_after_some_items():
    first, second = operands(6, LAYER, GRAD, 0.9)
    hold, held_back = 3, 0  # of 120 for memories of 1024 entries
    for program in _programs(first, second):
        for job in _jobs(program):
            before, lead = job["stream_count"][:-1].astype(int), job["load_lead"][1:]
            # a lead of 0 would be none
            latest = np.maximum(before - hold, 1)
            assert (lead <= latest).all()
            held_back += int(((lead == latest) & (latest > 1)).sum())
    assert held_back


def test_streams_wait_and_jobs_go_in_turn():
    first, second = operands(6, LAYER, GRAD, 0.5)
    for program in _programs(first, second):
        wait = CONFIG.read_fifo_beats // 4
        assert all((job["stream_wait"] == wait).all() for job in _jobs(program))
        assert program.phases[0].in_turn
        assert not any(phase.in_turn for phase in program.phases[1:])


@pytest.mark.parametrize("ports", [1, 2, 4])
def test_bursts_name_the_clusters_of_their_port_that_share_them(ports):
    config = replace(CONFIG, ports=ports)
    first, second = operands(6, LAYER, GRAD, 0.5)
    counts = set()
    for program in _programs(first, second, config, shares=(1,)):
        all_jobs, size = _jobs(program), config.clusters // ports
        for start in range(0, len(all_jobs), size):
            jobs = all_jobs[start : start + size]
            for job in jobs:
                for address, sharers in (
                    ("load_addr", "load_sharers"),
                    ("stream_addr", "stream_sharers"),
                ):
                    alike = [other for other in jobs if other[address][0] == job[address][0]]
                    assert (job[sharers] == len(alike)).all()
                    counts.add(len(alike))
    assert {1, config.clusters // ports} <= counts <= {1, 2, 4}


def test_every_block_has_its_share_of_a_columns_words_and_a_pes_products():
    first, second = operands(9, LAYER, GRAD, 0.5)
    for program in _programs(first, second, shares=(1,), ramp=()):
        if len(program.phases) > 1:
            continue
        for job, summary in zip(_jobs(program), program.jobs, strict=True):
            assert len(job) > 2
            words, products = job["stream_count"], np.array(summary.segment_products)
            for amounts in (words, *products.T):
                # A pixel has a few words or products, a block some ten pixels.
                assert np.ptp(amounts) <= 0.5 * amounts.mean() + 8


def test_directories_are_lengths():
    first, second = operands(7, LAYER, GRAD, 0.5)
    for program in _programs(first, second):
        for job in _jobs(program):
            for addr in job["load_addr"]:
                # the header of the first PE's tile follows the one tap
                (header,) = TILE_HEADER.unpack(program.image[addr + 8 : addr + 16])
                assert header["directory_format"] == DIRECTORY_LENGTHS


def test_blocks_fit_the_memories_of_every_pe():
    first, second = operands(7, LAYER, GRAD, 1.0)
    numbered = as_matrices(LAYER, first, second)
    problem = KernelProblem.of(*numbered, channel_work(*numbered), grads_held=True)
    for _, tiling in plan_waves(problem, CONFIG, most=99):
        for tile in wave_tiles(problem, tiling, CONFIG):
            for part in tile.parts:
                for segment in part:
                    counts = segment.load.view("<u2")
                    # the header of the first PE's tile follows the one tap
                    assert counts[4] <= CONFIG.directory_depth
                    assert counts[5] <= CONFIG.a_depth


@pytest.mark.parametrize("options", [
    LoweringOptions(waves=False),
    LoweringOptions(waves=True, contraction_parts=2),
    LoweringOptions(waves=True, balance=False),
])  # fmt: skip
def test_without_waves_where_options_ask_for_something_else(options):
    first, second = operands(8, LAYER, GRAD, 0.5)
    program = lower(CONFIG, LAYER, GRAD, first, second, WIDE, options)
    assert not any(phase.in_turn for phase in program.phases)
    check(program, first, second)


def test_channels_are_exchanged_until_blocks_are_equal():
    # rows 0, 1 do all their work with columns 0, 1, rows 2, 3 with columns 2, 3
    work = np.kron(np.eye(2), np.ones((2, 2)))
    rows, cols = exchange_pairs(
        work, [np.array([0, 1]), np.array([2, 3])], [np.array([0, 1]), np.array([2, 3])]
    )
    sums = [[work[np.ix_(row, col)].sum() for col in cols] for row in rows]
    assert sums == [[2, 2], [2, 2]]


@given(st.integers(0, 10_000))
def test_exchanges_keep_the_bins_sizes_and_never_make_the_blocks_less_equal(seed):
    rng = np.random.default_rng(seed)
    work = rng.integers(0, 50, (rng.integers(2, 12), rng.integers(2, 12))).astype(float)
    bins = [
        np.array_split(rng.permutation(count), rng.integers(1, count + 1)) for count in work.shape
    ]

    def squares(rows, cols):
        return sum(work[np.ix_(row, col)].sum() ** 2 for row in rows for col in cols)

    after = exchange_pairs(work, *bins)
    assert squares(*after) <= squares(*bins) + 1e-6
    for one, other, count in zip(bins, after, work.shape, strict=True):
        assert [len(members) for members in one] == [len(members) for members in other]
        assert sorted(np.concatenate(other)) == list(range(count))
