"""The cycle model of an array takes the cycles of the simulated Verilog, counter by counter."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gscn.array import ArrayConfig
from gscn.cosim import Conditions, run
from gscn.counters import CLUSTER_COUNTER_NAMES, CLUSTER_EVENT_NAMES
from gscn.cycles import passes
from gscn.cycles.passes import simulate_passes
from gscn.emulator.passes import run_passes
from gscn.errors import InputError
from gscn.passes import DESCRIPTOR_BYTES, Mode
from tests.pass_programs import TINY, random_program

INTEGERS = dataclasses.replace(TINY, float_formats="")
NARROW = ArrayConfig(
    clusters=4,
    pes=1,
    drain_width=1,
    mem_width=64,
    ports=2,
    chunks_depth=4,
    stationary_depth=128,
    directory_depth=128,
    acc_depth=288,
    word_depth=2,
    fiber_depth=2,
    job_depth=1,
    read_fifo_beats=8,
    outstanding_bursts=1,
)
"""One of everything, and two ports."""
WIDE = ArrayConfig(
    clusters=6,
    pes=4,
    burst_beats=1,
    ports=4,
    chunks_depth=8,
    stationary_depth=128,
    directory_depth=256,
    acc_depth=144,
    job_depth=3,
    read_fifo_beats=2,
    outstanding_bursts=4,
    operand_format="int8",
    acc_width=32,
)
"""Teams of three, ports of one cluster and of two, operands of 8 bits."""


def modelled(program, **options):
    """Return what the model says of a program."""
    return simulate_passes(
        program.config,
        program.image,
        program.descriptors_addr,
        program.count,
        program.memory_bytes,
        **options,
    )


def check(programs, latency=20):
    """Run programs, each after a reset, and compare every figure with the model's."""
    runs = run(programs[0].config, programs, Conditions(latency=latency))
    for number, (program, done) in enumerate(zip(programs, runs, strict=True)):
        model = modelled(program, latency=latency)
        counters = np.array([done.counters[name] for name in CLUSTER_COUNTER_NAMES]).T
        assert model.cycles == done.cycles, f"list {number}"
        assert model.counters.tolist() == counters.tolist(), f"list {number}"
        events = np.array([done.events[name] for name in CLUSTER_EVENT_NAMES]).T
        assert model.events.tolist() == events.tolist(), f"list {number}"
        assert (model.read_beats, model.write_beats) == (done.read_beats, done.write_beats)
        assert sum(model.pass_cycles) == done.cycles


@pytest.mark.cosim
@pytest.mark.parametrize("latency", [20, 100])
@pytest.mark.parametrize("mode", Mode)
def test_random_passes_take_the_cycles_of_the_verilog(mode, latency):
    programs = [random_program(seed, 1, config=INTEGERS, mode=mode) for seed in range(8)]
    check(programs, latency)


@pytest.mark.slow
@pytest.mark.parametrize("config", [TINY, NARROW, WIDE], ids=["floats", "narrow", "wide"])
def test_arrays_of_every_kind_take_the_cycles_of_the_verilog(config):
    programs = [random_program(seed, 1, config=config) for seed in range(24)]
    check(programs, 50)


@pytest.mark.parametrize("config", [TINY, NARROW, WIDE], ids=["floats", "narrow", "wide"])
def test_products_are_taken_once_and_counters_sum_to_the_cycles(config):
    for seed in range(6):
        program = random_program(seed, 1, config=config)
        model = modelled(program)
        totals = model.counters.sum(axis=1)
        assert totals.tolist() == [model.cycles * config.pes] * config.clusters
        law = run_passes(
            config, program.image, program.descriptors_addr, program.count, program.memory_bytes
        )
        assert model.by_cause()["busy"] == sum(counts.products for counts in law.counts)
        assert len(model.pass_cycles) == program.count


def test_a_slower_memory_takes_more_cycles():
    program = random_program(3, 2, config=INTEGERS)
    cycles = [modelled(program, latency=latency).cycles for latency in (2, 50, 500)]
    assert cycles == sorted(cycles)
    assert cycles[0] < cycles[-1]


@pytest.mark.parametrize("config", [TINY, NARROW, WIDE], ids=["floats", "narrow", "wide"])
def test_read_bursts_are_noted_in_order(config, monkeypatch):
    program = random_program(5, 2, config=config)
    plain, noted = modelled(program), modelled(program, bursts=True)
    monkeypatch.setattr(passes, "NOTED_BURSTS", config.ports + 3)
    bit_by_bit = modelled(program, bursts=True)
    assert plain.bursts is None
    assert noted.cycles == bit_by_bit.cycles == plain.cycles
    assert noted.bursts.tolist() == bit_by_bit.bursts.tolist()
    assert int(noted.bursts[:, 1].sum()) == noted.read_beats
    listed = noted.bursts[noted.bursts[:, 0] < 0]
    assert int(listed[:, 1].sum()) * config.mem_bytes == program.count * DESCRIPTOR_BYTES
    assert not listed[:, 2].any()
    own = noted.bursts[noted.bursts[:, 0] >= 0]
    assert (own[:, 2] >= 1).all()
    assert int((own[:, 0] + own[:, 1]).max()) * config.mem_bytes <= program.memory_bytes


def test_bad_latencies_and_endless_passes_are_refused():
    program = random_program(1, 1, config=INTEGERS)
    for name in ("latency", "write_latency"):
        with pytest.raises(InputError, match=f"{name} must be at least 2 cycles, not 1"):
            modelled(program, **{name: 1})
    with pytest.raises(InputError, match="a pass must end within max_cycles, 100"):
        modelled(program, max_cycles=100)
