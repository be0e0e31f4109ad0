"""Random passes behind AXI leave the memory that the model says, in the cycles that it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.cosim import Conditions, run
from gscn.cosim.launch import seen_latencies
from gscn.cosim.scoreboard import counter_differences, model_cycles
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, Mode
from gscn.registers import NO_PASS
from tests.cosim.lists import modelled
from tests.pass_memory import MEMORY_GRAIN
from tests.pass_programs import TINY, random_program

pytestmark = pytest.mark.cosim
INTEGERS = dataclasses.replace(TINY, float_formats="")
PORTS = dataclasses.replace(INTEGERS, clusters=3, ports=2, axi_id_width=4)


def programs(config, seeds, size):
    return [random_program(seed, size, config=config, mode=mode) for mode in Mode for seed in seeds]


def run_axi(programs, **conditions):
    """Run programs behind AXI, a good one or not after the other."""
    return run(programs[0].config, programs, Conditions(axi=True, **conditions), check=False)


def check(program, done):
    """Compare a run with the model."""
    expected = modelled(program)
    assert done.error is None, done.error
    assert expected.error == done.error_code == PassError.NONE
    assert done.error_pass == NO_PASS
    assert np.array_equal(done.memory, expected.memory)
    assert [done.flags["saturated"], done.flags["nonfinite"]] == [
        expected.saturated,
        expected.nonfinite,
    ]
    overflow = done.flags["accumulator_overflow"]
    assert expected.overflow_certain <= overflow <= expected.overflow_possible
    assert sum(done.counters["busy"]) == sum(one.products for one in expected.counts)


def check_all(programs, **conditions):
    for program, done in zip(programs, run_axi(programs, **conditions), strict=True):
        check(program, done)


@pytest.mark.parametrize("latency", [4, 20])
def test_cycles_and_every_counter_are_those_of_a_memory_one_cycle_slower(latency):
    every = programs(INTEGERS, range(6), 1)
    for program, done in zip(every, run_axi(every, latency=latency), strict=True):
        check(program, done)
        model = model_cycles(program, **seen_latencies(latency, axi=True))
        assert counter_differences(done, model) == []


def test_counters_without_a_reset_are_those_of_the_last_list():
    one = random_program(3, 1, config=INTEGERS)
    for done in run_axi([one] * 3, reset=False):
        check(one, done)
        assert sum(map(sum, done.counters.values())) == done.cycles * one.config.multipliers


def test_passes_under_pauses():
    check_all(programs(INTEGERS, range(6), 1), stall_probability=0.4, latency=3)


@pytest.mark.slow
def test_passes_in_every_number_format():
    every = [
        random_program(seed, 1, config=TINY, number_format=number)
        for number in range(5)
        for seed in range(2)
    ]
    check_all(every)


@pytest.mark.slow
def test_passes_through_two_ports_under_pauses():
    check_all(programs(PORTS, range(8), 1), stall_probability=0.3)


@pytest.mark.slow
def test_passes_of_an_array_whose_clusters_have_a_model_of_their_own():
    check_all(programs(ARRAYS["large"], range(3), 2))


@pytest.mark.parametrize(
    ("address", "count", "code"),
    [
        (64, 0, PassError.START_PASSES),
        (32, 1, PassError.START_ADDRESS),
        (1 << INTEGERS.addr_width, 1, PassError.START_ADDRESS),
        ((1 << INTEGERS.addr_width) - 64, 1, PassError.START_ADDRESS),
        (1 << 24, 1, PassError.BUS_READ),
    ],
)
def test_a_list_that_is_none_is_an_error(address, count, code):
    program = random_program(1, 0, config=INTEGERS, count=1)
    nothing = dataclasses.replace(program, descriptors_addr=address, passes=program.passes * count)
    bad, good = run_axi([nothing, program], faulty=True, reset=False, timeout_cycles=20_000)
    assert (bad.error, bad.error_code, bad.error_pass) == (None, code, NO_PASS)
    expected = modelled(nothing)
    assert (expected.error, expected.error_pass) == (code, NO_PASS)
    assert not bad.written.any()
    check(program, good)


@pytest.mark.parametrize("number", range(3))
def test_a_list_that_ends_beyond_memory_fails_in_the_pass_before(number):
    program = random_program(1, 0, config=INTEGERS, count=max(1, number))
    content = program.image[program.descriptors_addr :][: DESCRIPTOR_BYTES * number]
    image = np.concatenate([program.image, np.zeros(MEMORY_GRAIN, np.uint8)])
    addr = image.size - content.size  # the list has one pass more than memory has descriptors
    image[addr:] = content
    passes = [*program.passes[:number], program.passes[0]]
    bad = dataclasses.replace(program, image=image, descriptors_addr=addr, passes=passes)
    expected = modelled(bad)
    (done,) = run_axi([bad], faulty=True, timeout_cycles=20_000)
    assert (expected.error, expected.error_pass) == (PassError.BUS_READ, (NO_PASS, 0, 1)[number])
    assert (done.error, done.error_code, done.error_pass) == (
        None,
        expected.error,
        expected.error_pass,
    )
