"""Random passes on the simulated Verilog leave the memory that the model says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.cosim.array import run_arrays
from gscn.cosim.builds import array_simulator, simulator
from gscn.cosim.simulation import CHANNELS
from gscn.emulator.passes import run_passes
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, Mode
from tests.pass_programs import TINY, random_program

pytestmark = pytest.mark.cosim
INTEGERS = dataclasses.replace(TINY, float_formats="")
WIDE = dataclasses.replace(INTEGERS, operand_format="int8", acc_width=24, clusters=6, pes=4)
"""Teams of up to six."""
PORTS = dataclasses.replace(
    INTEGERS,
    clusters=4,
    ports=2,
    pes=1,
    drain_width=8,
    mem_width=512,
    burst_beats=1,
    read_fifo_beats=2,
    job_depth=1,
)


def modelled(program):
    """Return what the model makes of a program."""
    return run_passes(
        program.config,
        program.image,
        program.descriptors_addr,
        program.count,
        program.memory_bytes,
    )


def check(programs, *, stalls=0.0, reset=True, **conditions):
    """Run programs one after the other and compare each with the model."""
    probabilities = dict.fromkeys(CHANNELS, stalls)
    runs = run_arrays(programs, stalls=probabilities, reset=reset, **conditions)
    flags = np.zeros(4, bool)  # sticky until a reset
    for number, (program, run) in enumerate(zip(programs, runs, strict=True)):
        expected = modelled(program)
        assert run.error is None, f"list {number}: {run.error}"
        assert expected.error == run.error_code == PassError.NONE
        wrong = np.flatnonzero(run.memory != expected.memory)
        assert wrong.size == 0, f"list {number}: {wrong.size} bytes from {wrong[:4]} on"
        flags = flags & (not reset) | [
            expected.saturated,
            expected.nonfinite,
            expected.overflow_certain,
            expected.overflow_possible,
        ]
        assert [run.flags["saturated"], run.flags["nonfinite"]] == [*flags[:2]]
        assert flags[2] <= run.flags["accumulator_overflow"] <= flags[3]
        totals = np.sum([*run.counters.values()], axis=0)
        assert totals.tolist() == [run.cycles * program.config.pes] * program.config.clusters
        assert sum(run.counters["busy"]) == sum(one.products for one in expected.counts)
    return runs


def programs(config, seeds, size, **choices):
    return [
        random_program(seed, size, config=config, mode=mode, **choices)
        for mode in Mode
        for seed in seeds
    ]


def test_the_smallest_passes():
    check(programs(INTEGERS, range(10), 0))


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_random_passes_of_integers(stalls):
    check(programs(INTEGERS, range(12), 1), stalls=stalls, latency=3 if stalls else 20)


def test_random_passes_in_every_number_format():
    check([one for fmt in range(5) for one in programs(TINY, range(3), 1, number_format=fmt)])


@pytest.mark.slow
@pytest.mark.parametrize("stalls", [0.0, 0.4])
def test_random_passes_of_teams_of_up_to_six_clusters(stalls):
    # of the second list a bank is used anew while a row of it waits for memory
    check(programs(WIDE, (1, 11), 2), stalls=stalls)


@pytest.mark.slow
def test_random_passes_through_two_ports():
    check(programs(PORTS, range(8), 1), stalls=0.3)


def test_lists_follow_one_another_without_a_reset():
    check(programs(INTEGERS, range(8), 1), reset=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["small", "large"])
def test_random_passes_of_larger_arrays(name):
    check(programs(ARRAYS[name], range(4), 2))


def outside(program):
    """Return which bytes lie in no output range of a program."""
    found = np.ones(program.memory_bytes, bool)
    first = program.descriptors_addr
    content = program.image[first : first + program.count * DESCRIPTOR_BYTES]
    for descriptor in PASS_DESCRIPTOR.unpack(content):
        found[int(descriptor["out_addr"]) : int(descriptor["out_end"])] = False
    return found


def test_errors_are_those_of_the_model():
    """Damage fields and bytes: what the model allows is reported, and nothing else is written."""
    rng = np.random.default_rng(7)
    damaged = []
    for number, program in enumerate(programs(INTEGERS, range(20), 1)):
        image = program.image.copy()
        one = int(rng.integers(program.count))
        first = program.descriptors_addr + one * DESCRIPTOR_BYTES
        descriptor = PASS_DESCRIPTOR.unpack(image[first : first + DESCRIPTOR_BYTES])[0]
        if number % 3 == 0:
            image[first + rng.integers(160)] ^= 1 << int(rng.integers(8))
        elif number % 3 == 1:
            table = int(descriptor[rng.choice(["s_table", "t_table"])])
            image[table + rng.integers(16)] ^= 1 << int(rng.integers(8))
        else:
            data = int(descriptor[rng.choice(["s_data", "t_data"])])
            image[data + rng.integers(32)] ^= 1 << int(rng.integers(8))
        damaged.append(dataclasses.replace(program, image=image))
    found = set()
    for program, run in zip(
        damaged, run_arrays(damaged, faulty=True, timeout_cycles=200_000), strict=True
    ):
        expected = modelled(program)
        assert run.error is None, run.error
        found.add(run.error_code)
        assert not run.written[outside(program)].any()
        if expected.error == PassError.NONE:
            assert run.error_code == PassError.NONE
            assert np.array_equal(run.memory, expected.memory)
            continue
        assert run.error_pass == expected.error_pass
        if expected.error == PassError.BUS_READ:  # memory beyond its end has ones here
            assert run.error_code != PassError.NONE
        else:
            assert run.error_code in expected.possible
    assert len(found) > 5


def test_an_unfinished_build_is_not_taken_for_what_a_killed_one_left(tmp_path, monkeypatch):
    def compile_while_others_clean(config, verilog, parts, scratch, root, waves):
        simulator._clean(root)
        assert verilog.exists()
        program = scratch / "program"
        program.touch()
        return program

    monkeypatch.setattr(array_simulator, "_compile", compile_while_others_clean)
    built = array_simulator.build_array(INTEGERS, build_root=tmp_path)
    assert built.executable.exists()
    assert built.verilog.exists()
