"""Random passes on the simulated Verilog leave the memory that the model says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.cosim import Conditions, SimulationError, run
from gscn.formats import NUMBER_FORMATS
from gscn.pass_errors import PassError
from gscn.passes import PASS_DESCRIPTOR, VECTOR, Mode
from gscn.records import OUT_RAW, OUT_WIDTHS
from gscn.window import MOST_TOP
from tests.cosim.lists import damaged_lists, fault_of, modelled
from tests.pass_memory import kernel_pass, program_of
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


def check(programs, *, stalls=0.0, reset=True, **conditions):
    """Run programs one after the other and compare each with the model."""
    config = programs[0].config
    conditions = Conditions(stall_probability=stalls, reset=reset, **conditions)
    results = run(config, programs, conditions)
    flags = np.zeros(4, bool)  # sticky until a reset
    for number, (program, result) in enumerate(zip(programs, results, strict=True)):
        expected = modelled(program)
        assert expected.error == result.error_code == PassError.NONE
        wrong = np.flatnonzero(result.memory != expected.memory)
        assert wrong.size == 0, f"list {number}: {wrong.size} bytes from {wrong[:4]} on"
        flags = flags & (not reset) | [
            expected.saturated,
            expected.nonfinite,
            expected.overflow_certain,
            expected.overflow_possible,
        ]
        assert [result.flags["saturated"], result.flags["nonfinite"]] == [*flags[:2]]
        assert flags[2] <= result.flags["accumulator_overflow"] <= flags[3]
        totals = np.sum([*result.counters.values()], axis=0)
        assert totals.tolist() == [result.cycles * config.pes] * config.clusters
        assert sum(result.counters["busy"]) == sum(one.products for one in expected.counts)
    return results


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


def test_errors_are_those_of_the_model():
    """Damage fields and bytes: what the model allows is reported, and nothing else is written."""
    lists = damaged_lists(programs(INTEGERS, range(20), 1), 7, 40)
    conditions = Conditions(faulty=True, timeout_cycles=400_000)
    runs = run(INTEGERS, lists, conditions, check=False)
    for number, (program, done) in enumerate(zip(lists, runs, strict=True)):
        # memory beyond its end has ones here
        assert fault_of(program, done, bus_errors=False) is None, number
    assert len({one.error_code for one in runs}) > 5


@pytest.mark.slow
def test_windows_are_too_small_where_the_model_says_so():
    """Maps and kernels of larger rings, held or not: neither an error too many nor one too few."""
    rings = dataclasses.replace(INTEGERS, stationary_depth=64, directory_depth=128, chunks_depth=4)
    lists = [
        dataclasses.replace(one, config=rings) for one in programs(INTEGERS, range(40), 1, count=1)
    ]
    found = set()
    conditions = Conditions(faulty=True, timeout_cycles=400_000)
    for program, result in zip(lists, run(rings, lists, conditions), strict=True):
        expected = modelled(program)
        fields = program.passes[0].fields
        found.add((expected.error, fields["mode"], fields["chained"]))
        if expected.error == PassError.NONE:
            assert result.error_code == PassError.NONE
            assert np.array_equal(result.memory, expected.memory)
        else:
            assert result.error_code in expected.possible
    kinds = ((Mode.KERNEL, 0), (Mode.CORRELATE, 0), (Mode.CORRELATE, 1))
    assert found >= {(code, *one) for code in (PassError.NONE, PassError.WINDOW) for one in kinds}


def test_an_error_of_a_good_list_is_a_failure_that_names_its_pass():
    program = programs(INTEGERS, (1,), 1)[0]
    image = program.image.copy()
    image[program.descriptors_addr + PASS_DESCRIPTOR.dtype.fields["mode"][1]] = 9
    bad = dataclasses.replace(program, image=image)
    message = f"pass 0 must have no error, not error {PassError.MODE.value} "
    with pytest.raises(SimulationError, match=f"launch 1 .*{message}"):
        run(INTEGERS, [program, bad])
    # the launches behind it run in another process
    results = run(INTEGERS, [program, bad, program], check=False)
    assert message in results[1].error
    assert np.array_equal(results[0].memory, results[2].memory)


def test_launches_do_not_depend_on_the_ones_before():
    listed = programs(INTEGERS, range(2), 1)
    forwards = run(INTEGERS, listed)
    backwards = run(INTEGERS, listed[::-1])[::-1]
    for one, other in zip(forwards, backwards, strict=True):
        assert np.array_equal(one.memory, other.memory)
        assert (one.cycles, one.counters) == (other.cycles, other.counters)


def test_random_initial_values_change_nothing():
    check(programs(INTEGERS, range(4), 1), random_init=True, seed=5)


def special_pass(number, out_format, seed):
    """Return a pass of infinities, NaN, the largest numbers, ones and zeros of both signs."""
    fmt = NUMBER_FORMATS[number]
    codes = np.array([0, fmt.bias << fmt.mantissa_width, fmt.largest, fmt.infinity, fmt.nan])
    rng = np.random.default_rng(seed)
    weights, stream = (
        rng.choice(codes, shape, p=(0.5, 0.2, 0.1, 0.1, 0.1))
        | rng.integers(0, 2, shape) << fmt.width - 1
        for shape in ((2, 1, 1, VECTOR), (4, 4, VECTOR))
    )
    stream[..., 2:] = 0
    pixel = 8 * VECTOR
    return kernel_pass(
        weights, stream, number_format=number, out_format=out_format, pixel_bytes=pixel,
        row_bytes=4 * pixel, sample_bytes=16 * pixel, window=min(2 * fmt.top_exponent, MOST_TOP),
    )  # fmt: skip


def test_infinities_and_nan_of_every_format_in_results_of_every_format():
    choices = [(number, out) for number in range(1, len(NUMBER_FORMATS)) for out in OUT_WIDTHS]
    programs = [program_of(TINY, [special_pass(*one, seed=1)]) for one in choices]
    results = check(programs)
    # raw results are sums, with bits for what they add up
    assert all(done.flags["nonfinite"] == (out != OUT_RAW)
               for (_, out), done in zip(choices, results, strict=True))  # fmt: skip
