"""The generated accelerator equals the law and the cycle model, whatever memory does."""

from dataclasses import replace

import numpy as np
import pytest

from gscn.config import PRESETS, AcceleratorConfig
from gscn.cosim import Conditions, compare, run
from gscn.cosim.builds.simulator import build
from gscn.cosim.errors import SimulationError
from gscn.cosim.launch import seen_latencies
from gscn.cycles.model import simulate
from gscn.error_codes import ErrorCode
from gscn.records import KIND_MAC, TAP, queue_entries, segment_descriptors
from tests.programs import random_program

pytestmark = pytest.mark.cosim

CONFIGS = {
    "tiny": PRESETS["tiny"],
    "one_pe": AcceleratorConfig(
        clusters=3,
        pes_per_cluster=1,
        a_depth=64,
        directory_depth=32,
        taps_depth=16,
        b_fifo_depth=2,
        match_fifo_depth=2,
        acc_depth=256,
        acc_width=42,
        operand_format="int8",
        mem_width=64,
        burst_beats=8,
        read_fifo_beats=16,
        addr_width=40,
    ),
    "eight_pes": AcceleratorConfig(
        clusters=1,
        pes_per_cluster=8,
        a_depth=64,
        directory_depth=64,
        taps_depth=16,
        b_fifo_depth=3,
        acc_depth=256,
        mem_width=512,
        burst_beats=1,
        read_fifo_beats=2,
        addr_width=20,
    ),
    # integers and every float format by turns in every PE
    "floats": replace(PRESETS["tiny"], float_formats="bf16,fp16,fp8_e4m3,fp8_e5m2"),
    "floats, narrow": replace(
        PRESETS["tiny"],
        clusters=1,
        pes_per_cluster=1,
        operand_format="int8",
        acc_width=24,
        mem_width=64,
        float_formats="fp16",
    ),
    # clusters that often read the same
    "wide_port": replace(
        PRESETS["tiny"], clusters=4, mem_width=256, burst_beats=4, read_fifo_beats=16
    ),
    # the first port has two clusters, the second one
    "two_ports": replace(PRESETS["tiny"], clusters=3, ports=2),
    "four_ports": AcceleratorConfig(
        clusters=6,
        pes_per_cluster=1,
        a_depth=64,
        directory_depth=64,
        taps_depth=16,
        b_fifo_depth=4,
        acc_depth=256,
        mem_width=64,
        burst_beats=4,
        read_fifo_beats=8,
        outstanding_bursts=2,
        ports=4,
    ),
}
MEMORIES = {
    "plain": {},
    "fast": {"latency": 2},
    "slow": {"latency": 150},
    "pauses": {"latency": 2, "stall_probability": 0.5, "random_init": True},
    "writes pause": {"stall_probability": {"write_cmd": 0.7, "write_data": 0.8, "write_done": 0.9}},
}
LAUNCHES = 16


BEHIND_AXI = ("tiny", "one_pe", "floats", "two_ports", "four_ports")


@pytest.fixture(
    scope="module",
    params=[
        *(pytest.param((name, False), id=name) for name in CONFIGS),
        *(pytest.param((name, True), id=f"{name}, AXI") for name in BEHIND_AXI),
    ],
)
def simulator(request):
    name, axi = request.param
    return build(CONFIGS[name], axi=axi)


@pytest.mark.parametrize(
    "memory",
    [
        "plain",
        "pauses",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("fast", "slow", "writes pause")),
    ],
)
def test_random_launches_equal_the_law(simulator, memory):
    first_seed = 1000 * list(MEMORIES).index(memory)
    programs = [random_program(simulator.config, first_seed + i) for i in range(LAUNCHES)]
    check_launches(simulator, programs, memory, first_seed)


@pytest.mark.parametrize(
    "memory",
    [
        "plain",
        *(pytest.param(name, marks=pytest.mark.slow) for name in MEMORIES if name != "plain"),
    ],
)
def test_launches_in_turn_equal_the_law(simulator, memory):
    """Uneven jobs, several rounds; every other phase by the first free cluster."""
    config = simulator.config
    first_seed = 6000 + 1000 * list(MEMORIES).index(memory)
    sizes = {"phases": 3, "jobs": 4 * config.clusters}
    flags = [(True, False, True), (False, True, True)]
    programs = [
        random_program(config, first_seed + i, **sizes, in_turn=flags[i % 2])
        for i in range(LAUNCHES // 4)
    ]
    results = check_launches(simulator, programs, memory, first_seed)
    if memory == "plain":
        # where there are clusters to choose from, time tells that the flag was heard
        plain = [random_program(config, first_seed + i, **sizes) for i in range(len(programs))]
        cycles = [result.cycles for result in check_launches(simulator, plain, memory, first_seed)]
        assert (cycles == [result.cycles for result in results]) == (config.clusters == 1)


def check_launches(simulator, programs, memory, first_seed):
    config = simulator.config
    results = run(
        config, programs, Conditions(seed=first_seed, **MEMORIES[memory]), simulator=simulator
    )
    for number, (program, result) in enumerate(zip(programs, results, strict=True)):
        comparison = compare(
            program.result(result.memory),
            program.oracle(),
            written=result.written,
            output_ranges=program.output_ranges,
        )
        where = f"seed {first_seed + number}, configuration {config.digest()}"
        assert comparison.good, f"{where}: {comparison.details}"
        assert result.flags == {
            "saturated": program.saturated,
            "accumulator_overflow": program.overflowed,
            "address_error": False,
            "nonfinite": program.nonfinite,
        }, where
        # Exactly one counter of each PE advances in every cycle, `busy` once per product.
        assert sum(result.counters["busy"]) == program.products, where
        for cluster in range(config.clusters):
            total = sum(values[cluster] for values in result.counters.values())
            assert total == result.cycles * config.pes_per_cluster, where
        if "stall_probability" not in MEMORIES[memory]:
            latencies = seen_latencies(**MEMORIES[memory], axi=simulator.axi)
            check_cycle_model(program, result, latencies, where)
    return results


def check_cycle_model(program, result, latencies, where):
    """The cycle model is the RTL without values: equal in every cycle and counter."""
    model = simulate(program, **latencies)
    assert model.cycles == result.cycles, where
    for index, (name, values) in enumerate(result.counters.items()):
        assert model.counters[:, index].tolist() == values, f"{where}: {name}"
    assert (model.read_beats, model.write_beats) == (result.read_beats, result.write_beats), where


@pytest.fixture(scope="module")
def tiny():
    return build(PRESETS["tiny"])


def test_launches_do_not_depend_on_the_ones_before(tiny):
    programs = [random_program(tiny.config, seed) for seed in (1, 2)]
    forwards = run(tiny.config, programs, simulator=tiny)
    backwards = run(tiny.config, programs[::-1], simulator=tiny)[::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert np.array_equal(one.memory, other.memory)
        assert one.cycles == other.cycles
        assert one.counters == other.counters


@pytest.fixture(scope="module")
def tiny_axi():
    return build(PRESETS["tiny"], axi=True)


def test_a_phase_without_jobs_is_an_error(tiny_axi):
    program = random_program(tiny_axi.config, 3)
    empty = replace(program.phases[0], job_count=0)
    padded = replace(program, phases=[*program.phases, empty])
    message = f"ERROR.code must be 0, not {ErrorCode.START_JOBS.value} "
    with pytest.raises(SimulationError, match=message):
        run(tiny_axi.config, [padded], simulator=tiny_axi)


def test_an_index_outside_the_accumulators_is_an_error_and_writes_nothing_else(tiny):
    config = tiny.config
    program = random_program(config, 7)
    corrupted = replace(program, image=_with_far_taps(program, program.image.copy()))
    good, bad = run(config, [program, corrupted], simulator=tiny, check=False)
    assert good.error is None
    assert f"must have no error, not error {ErrorCode.ACCUMULATOR.value}" in bad.error
    stray = bad.written.copy()
    for first, end in program.output_ranges:
        stray[first:end] = False
    assert not stray.any()


def _with_far_taps(program, image):
    for phase in program.phases:
        for entry in queue_entries(image, phase.queue_addr, phase.job_count):
            for segment in segment_descriptors(image, entry):
                if segment["kind"] == KIND_MAC:
                    load = int(segment["load_addr"])
                    taps = image[load : load + int(segment["tap_count"]) * TAP.width // 8]
                    taps.view(TAP.dtype)["offset_delta"] = 32000
    return image
