"""RTL, brute force and cycle model agree on programs drawn at random from the contract."""

from dataclasses import replace

import numpy as np
import pytest

from cosim import run
from gscn.config import PRESETS
from perf.cycles import simulate
from tests.programs import random_program

pytestmark = [pytest.mark.cosim]

TINY = PRESETS["tiny"]
CONFIGS = {
    "tiny": TINY,
    "small": PRESETS["small"],
    "one PE, int8, narrow port": replace(
        TINY, clusters=1, pes_per_cluster=1, operand_format="int8", acc_width=32, mem_width=64
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("latency", [2, 37])
def test_memory_flags_cycles_and_every_counter_agree(name, latency):
    config = CONFIGS[name]
    programs = [random_program(config, seed, jobs=2 * config.clusters) for seed in range(4)]
    for seed, (program, ran) in enumerate(
        zip(programs, run(config, programs, latency=latency), strict=True)
    ):
        subject = f"seed {seed}, configuration {config.digest()}"
        assert ran.error is None, subject
        for start, end in program.output_ranges:
            assert np.array_equal(ran.memory[start:end], program.expected[start:end]), subject
        allowed = np.zeros(program.memory_bytes, bool)
        for start, end in program.output_ranges:
            allowed[start:end] = True
        assert np.array_equal(ran.written, allowed), subject
        assert ran.flags == {
            "saturated": program.flags["saturated"],
            "accumulator_overflow": False,
            "address_error": False,
        }, subject
        model = simulate(program, latency=latency)
        assert model.cycles == ran.cycles, subject
        assert model.by_cause() == {n: sum(c) for n, c in ran.counters.items()}, subject
        assert (model.read_beats, model.write_beats) == (ran.read_beats, ran.write_beats), subject


def test_random_stalls_change_time_but_not_results():
    programs = [random_program(TINY, seed) for seed in range(6)]
    smooth = run(TINY, programs)
    stalled = run(TINY, programs, stall_probability=0.4, seed=1)
    for program, ran, reference in zip(programs, stalled, smooth, strict=True):
        assert ran.error is None
        for start, end in program.output_ranges:
            assert np.array_equal(ran.memory[start:end], program.expected[start:end])
        assert ran.cycles > reference.cycles
        assert sum(sum(c) for c in ran.counters.values()) == ran.cycles * TINY.multipliers
