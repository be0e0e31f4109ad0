# amaranth: UnusedElaboratable=no
"""The testbench itself, with a component that only copies memory and can be made faulty."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from gscn.array import ARRAYS, ArrayConfig
from gscn.cosim import Conditions, SimulationError, SimulationTimeout, compare, run
from gscn.cosim.builds.simulator import build
from gscn.cosim.simulation import CHANNELS, FILL
from gscn.counters import CLUSTER_COUNTER_NAMES, CLUSTER_EVENT_NAMES, COUNTERS_PER_CLUSTER
from gscn.errors import InputError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from gscn.port import WRITE_LATENCY
from tests.cosim.copy_engine import FAULTS, CopyEngine

pytestmark = pytest.mark.cosim

CONFIG = ARRAYS["tiny"]


@dataclass(frozen=True, kw_only=True)
class CopyProgram:
    """Copies `sizes[i]` beats in pass i, results one after the other."""

    config: ArrayConfig
    sizes: tuple[int, ...]
    image: np.ndarray
    memory_bytes: int
    descriptors_addr: int
    descriptor_count: int
    output_ranges: list[tuple[int, int]]

    def result(self, memory):
        (output,) = self.output_ranges
        return memory[slice(*output)].astype(np.int64)


def copy_program(sizes, *, seed=0, fault="none", slack=1024):
    beat = CONFIG.mem_bytes
    beats = sum(sizes)
    data = np.random.default_rng(seed).integers(0, 256, beats * beat, dtype=np.uint8)
    source = DESCRIPTOR_BYTES * len(sizes)
    target = source + data.size
    before = np.concatenate([[0], np.cumsum(sizes)[:-1]]) * beat
    passes = PASS_DESCRIPTOR.pack(
        s_data=source + before,
        out_addr=target + before,
        samples=np.array(sizes),
        shift=FAULTS.index(fault),
    )
    return CopyProgram(
        config=CONFIG,
        sizes=tuple(sizes),
        image=np.concatenate([passes.view(np.uint8), data]),
        memory_bytes=target + data.size + slack,
        descriptors_addr=0,
        descriptor_count=len(sizes),
        output_ranges=[(target, target + data.size)],
    )


def copied_bytes(program):
    return program.image[DESCRIPTOR_BYTES * len(program.sizes) :].astype(np.int64)


def expected_cycles(program, latency):
    """Cycles of the copy engine if nothing pauses, from its states."""
    descriptor = DESCRIPTOR_BYTES // CONFIG.mem_bytes * (1 + latency)
    per_beat = 1 + latency + 1 + 1 + WRITE_LATENCY + 1
    # NEXT, descriptor, DECODE, BREAK, copies, COPY with nothing left; at the end NEXT again.
    per_pass = 1 + descriptor + 1 + 1 + 1
    return sum(per_pass + per_beat * size for size in program.sizes) + 1


@pytest.fixture(scope="module")
def simulator():
    return build(CONFIG, create=lambda config: CopyEngine(config=config))


def assert_copied(program, result):
    comparison = compare(
        program.result(result.memory),
        copied_bytes(program),
        written=result.written,
        output_ranges=program.output_ranges,
    )
    assert comparison.good, comparison.details


@pytest.mark.parametrize("latency", [2, 20])
def test_cycles_follow_from_the_latencies(simulator, latency):
    programs = [copy_program((3, 1, 7)), copy_program((40,), seed=1)]
    results = run(CONFIG, programs, Conditions(latency=latency), simulator=simulator)
    for program, result in zip(programs, results, strict=True):
        assert_copied(program, result)
        assert result.cycles == expected_cycles(program, latency)
        beats = sum(program.sizes)
        descriptor_beats = len(program.sizes) * DESCRIPTOR_BYTES // CONFIG.mem_bytes
        assert (result.read_beats, result.write_beats) == (beats + descriptor_beats, beats)


def test_counters_and_flags_arrive_in_their_places(simulator):
    (result,) = run(CONFIG, [copy_program((1,))], simulator=simulator)
    # The copy engine's counters hold 1000 + their index.
    assert {**result.counters, **result.events} == {
        name: [1000 + cluster * COUNTERS_PER_CLUSTER + index for cluster in range(CONFIG.clusters)]
        for index, name in enumerate((*CLUSTER_COUNTER_NAMES, *CLUSTER_EVENT_NAMES))
    }
    assert result.flags == {
        "saturated": True,
        "accumulator_overflow": False,
        "nonfinite": False,
    }


def test_memory_beyond_the_image_is_not_zero(simulator):
    program = copy_program((2,))
    (result,) = run(CONFIG, [program], simulator=simulator)
    beyond = result.memory[program.output_ranges[0][1] :]
    assert beyond.size == 1024
    assert (beyond == FILL).all()
    assert not result.written[program.output_ranges[0][1] :].any()


@pytest.mark.parametrize("stalls", [0.5, *({channel: 0.6} for channel in CHANNELS)])
def test_pauses_slow_the_launch_and_change_no_result(simulator, stalls):
    program = copy_program((60,))
    results = run(
        CONFIG, [program], Conditions(stall_probability=stalls, seed=3), simulator=simulator
    )
    assert_copied(program, results[0])
    assert results[0].cycles > expected_cycles(program, 20)


def test_pauses_follow_from_the_seed_and_differ_between_launches(simulator):
    def cycles(seed):
        programs = [copy_program((60,))] * 2
        results = run(
            CONFIG, programs, Conditions(stall_probability=0.5, seed=seed), simulator=simulator
        )
        return [result.cycles for result in results]

    first, second = cycles(3)
    assert first != second
    assert cycles(3) == [first, second]
    assert cycles(4) != [first, second]


FAULT_MESSAGES = {
    "hang": "not done after 3000 cycles: busy stays high",
    "outside": "write burst of 1 beats at 0xfffffc00 must end within the memory",
    "unaligned": "write address must be a multiple of 16, not 0x",
    "oversize": "read burst at 0x100 must have 1 to 2 beats, not 3",
    "early_idle": "busy must stay high until memory has completed 0 reads and 1 writes",
    "withdraw": "write data must be held until it is accepted, but was withdrawn",
    "count": "the counter of busy cycles must be",
}


def test_every_fault_is_found_and_spares_the_other_launches(simulator):
    faulty = [copy_program((2,), fault=fault) for fault in FAULT_MESSAGES]
    good = copy_program((2,), seed=9)
    programs = [program for fault in faulty for program in (good, fault)] + [good]
    results = run(
        CONFIG,
        programs,
        Conditions(
            stall_probability={"write_data": 0.8, "write_done": 0.95}, timeout_cycles=3000, seed=1
        ),
        check=False,
        simulator=simulator,
    )
    for result in results[::2]:
        assert result.error is None
        assert_copied(good, result)
    for result, (fault, message) in zip(results[1::2], FAULT_MESSAGES.items(), strict=True):
        assert message in (result.error or ""), fault
        assert result.timed_out == (fault == "hang")


def test_a_stray_write_is_found_by_the_scoreboard(simulator):
    program = copy_program((2,), fault="stray")
    (result,) = run(CONFIG, [program], simulator=simulator)
    comparison = compare(
        program.result(result.memory),
        copied_bytes(program),
        written=result.written,
        output_ranges=program.output_ranges,
    )
    assert (comparison.mismatches, comparison.stray_bytes) == (0, CONFIG.mem_bytes)
    assert f"{program.output_ranges[0][1]:#x}" in comparison.details[-1]


def test_a_hang_raises_with_the_counters(simulator):
    message = r'launch 1 .* not done after 2000 .*"busy": \[1000'
    with pytest.raises(SimulationTimeout, match=message):
        run(
            CONFIG,
            [copy_program((1,)), copy_program((1,), fault="hang")],
            Conditions(timeout_cycles=2000),
            simulator=simulator,
        )


def test_a_broken_contract_raises(simulator):
    with pytest.raises(SimulationError, match=r"launch 0 .* must be a multiple of 16"):
        run(CONFIG, [copy_program((1,), fault="unaligned")], simulator=simulator)


def test_a_simulator_is_killed_when_its_time_is_over(simulator):
    program = copy_program((1,), fault="hang")
    with pytest.raises(SimulationTimeout, match=r"must end within 2.0 s"):
        run(
            CONFIG,
            [program],
            Conditions(timeout_cycles=10**12, wall_timeout_seconds=2.0),
            simulator=simulator,
        )
    executable = str(simulator.executable)
    running = [
        path.parent.name
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if executable in _read(path)
    ]
    assert running == []


def _read(path):
    try:
        return path.read_text()
    except OSError:  # the process has ended in between
        return ""


def test_random_initial_values_change_nothing(simulator):
    program = copy_program((5,))
    (result,) = run(CONFIG, [program], Conditions(random_init=True, seed=5), simulator=simulator)
    assert_copied(program, result)
    assert result.cycles == expected_cycles(program, 20)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"waves": True}, "must be built with waves"),
        ({"axi": True}, "must be built with axi=True"),
    ],
)
def test_conditions_that_the_simulator_does_not_suit_are_refused(simulator, settings, message):
    with pytest.raises(InputError, match=message):
        run(CONFIG, [copy_program((1,))], Conditions(**settings), simulator=simulator)


def test_a_program_for_another_configuration_is_refused(simulator):
    program = replace(copy_program((1,)), config=ARRAYS["small"])
    with pytest.raises(InputError, match="program must be made for configuration"):
        run(CONFIG, [program], simulator=simulator)


def test_an_equal_build_is_reused(simulator):
    before = simulator.executable.stat().st_mtime_ns
    root = simulator.executable.parents[2]
    again = build(CONFIG, build_root=root, create=lambda config: CopyEngine(config=config))
    assert again.digest == simulator.digest
    assert again.executable.stat().st_mtime_ns == before
