"""The cycle model by itself; `tests/cosim/test_accelerator.py` holds it to the RTL."""

from dataclasses import replace

import numpy as np
import pytest

from gscn.config import PRESETS
from gscn.counters import CLUSTER_COUNTER_NAMES
from gscn.cycles import model
from gscn.errors import InputError
from gscn.records import queue_entries, segment_descriptors
from tests.programs import random_program
from tests.stream_waits import with_fields, with_stream_wait

TINY = PRESETS["tiny"]


@pytest.mark.parametrize("seed", range(4))
def test_every_product_is_taken_once_and_counters_sum_to_the_total(seed):
    program = random_program(TINY, seed, phases=3)
    result = model.simulate(program)
    assert len(result.phase_cycles) == 3
    assert model.products(result) == program.products
    assert sum(result.by_cause().values()) == result.cycles * TINY.multipliers
    assert sum(result.phase_cycles) == result.cycles


@pytest.mark.parametrize("name", ["tiny", "small"])
@pytest.mark.parametrize("latency", [2, 20, 150])
def test_a_list_costs_one_descriptor_and_a_cycle_per_phase(name, latency):
    from gscn.hw.core.sequencer import Sequencer

    config = PRESETS[name]
    program = random_program(config, 5, phases=3, jobs=8)
    alone = model.simulate(program, latency=latency)
    listed = model.simulate(program, latency=latency, one_start=True)
    beats = 64 // config.mem_bytes
    fetch = Sequencer.FETCH_LATENCY + latency + beats + Sequencer.START_LATENCY
    extra = np.subtract(listed.phase_cycles, alone.phase_cycles)
    # the next descriptor's beats may come before those of the phase's first load
    assert fetch <= extra[0] < fetch + beats
    assert 1 <= extra[1] < 1 + beats
    assert extra[2] == 1
    assert listed.read_beats == alone.read_beats + 3 * beats
    assert listed.write_beats == alone.write_beats
    idle = CLUSTER_COUNTER_NAMES.index("idle")
    # every cluster waits while the first descriptor is fetched, and between phases
    waits = (listed.counters - alone.counters)[:, idle]
    assert waits.min() >= config.pes_per_cluster * (fetch + 2)
    assert model.products(listed) == program.products


def test_streams_that_wait_are_read_less_often():
    # eight clusters, each with the same stream and load block, but jobs that are given in turn
    config = replace(TINY, clusters=8, mem_width=256, read_fifo_beats=16)
    program = _repeated_job(config, 8)
    at_once = model.simulate(with_stream_wait(program, 0))
    waits = model.simulate(with_stream_wait(program, 4))
    assert waits.read_beats < at_once.read_beats
    # the buffer cannot have so many beats taken and room for another
    for never in (config.read_fifo_beats, config.read_fifo_beats + 1, 0xFFFF):
        result = model.simulate(with_stream_wait(program, never))
        assert (result.cycles, result.read_beats) == (at_once.cycles, at_once.read_beats)
        assert np.array_equal(result.counters, at_once.counters)


def test_waits_of_random_launches_matter():
    config = replace(TINY, clusters=4, mem_width=256, read_fifo_beats=16)
    programs = [random_program(config, seed, jobs=20) for seed in range(8)]
    results = [model.simulate(program) for program in programs]
    at_once = [model.simulate(with_stream_wait(program, 0)) for program in programs]
    beats = [[result.read_beats for result in half] for half in (results, at_once)]
    taken = [[result.cycles for result in half] for half in (results, at_once)]
    assert sum(beats[0]) < sum(beats[1])
    assert taken[0] != taken[1]


@pytest.mark.parametrize("latency", [2, 20, 100])
def test_sharers_that_are_there_need_not_wait_for_one_another(latency):
    # each cluster a job behind the one before it
    config = replace(TINY, clusters=4, mem_width=256, read_fifo_beats=16)
    programs = [_repeated_job(config, 8, seed) for seed in range(6)]

    def measure(wait, sharers):
        fields = {"load_lead": 0, "load_sharers": sharers, "stream_sharers": sharers}
        results = [
            model.simulate(with_stream_wait(program, wait, **fields), latency=latency)
            for program in programs
        ]
        return sum(r.cycles for r in results), sum(r.read_beats for r in results)

    taken, beats = measure(1, config.clusters)
    # the longest time in the buffer costs streams alone no cycles, but much sharing
    alone = {wait: measure(wait, 0) for wait in (0, 1, 2, 4, 8, 12)}
    assert taken <= min(alone[0][0], alone[12][0])
    assert beats < min(alone[0][1], alone[12][1])
    assert all(taken < slower for slower, fewer in alone.values() if fewer <= beats)
    # more than the port has channels are never there
    assert measure(1, 2 * config.clusters + 1) == measure(1, 0xFF)
    # what is urgent at once does not wait for sharers
    assert measure(0, config.clusters) == alone[0]


@pytest.mark.parametrize("field", ["load_sharers", "stream_sharers"])
def test_sharers_of_random_launches_matter(field):
    config = replace(TINY, clusters=4, mem_width=256, read_fifo_beats=16)
    programs = [random_program(config, seed, jobs=20) for seed in range(8)]
    drawn = [model.simulate(with_fields(program)) for program in programs]
    without = [model.simulate(with_fields(program, **{field: 0})) for program in programs]
    assert [result.cycles for result in drawn] != [result.cycles for result in without]


def _repeated_job(config, count, seed=2):
    """Return the first phase of a random program with its largest job so many times.

    As results count for nothing in the cycle model, all have the same place for theirs.
    """
    program = random_program(config, seed)
    phase = program.phases[0]
    entries = queue_entries(program.image, phase.queue_addr, phase.job_count)
    segments = [segment_descriptors(program.image, e)["stream_count"].sum() for e in entries]
    repeated = np.repeat(entries[np.argmax(segments)], count)
    queue_addr = -(-program.image.size // 128) * 128
    image = np.pad(program.image, (0, queue_addr - program.image.size))
    image = np.concatenate([image, repeated.view(np.uint8)])
    phase = replace(phase, queue_addr=queue_addr, job_count=count)
    return replace(program, image=image, phases=[phase])


def test_every_job_is_given_once_and_ends_after_it_was_given():
    program = random_program(TINY, 7, jobs=12)
    result = model.simulate(program)
    assert result.job_spans.shape == (sum(phase.job_count for phase in program.phases), 3)
    assert (result.job_spans[:, 2] > result.job_spans[:, 1]).all()
    assert (np.diff(result.job_spans[:, 1]) > 0).all()


@pytest.mark.parametrize("one_start", [False, True])
@pytest.mark.parametrize("clusters", [1, 2, 3, 4])
def test_in_turn_job_j_is_for_cluster_j_mod_clusters(clusters, one_start):
    config = replace(TINY, clusters=clusters)
    flags = (True, False, True)
    program = random_program(config, 8, phases=3, jobs=20, in_turn=flags)
    plain = random_program(config, 8, phases=3, jobs=20)
    result = model.simulate(program, one_start=one_start)
    first_free = model.simulate(plain, one_start=one_start)
    assert model.products(result) == program.products
    spans = result.job_spans
    assert (spans[:, 2] > spans[:, 1]).all()
    assert np.unique(spans[:, 1]).size == len(spans)  # one at a time
    first = 0
    for phase, in_turn in zip(program.phases, flags, strict=True):
        of_phase = spans[first : first + phase.job_count]
        first += phase.job_count
        assert phase.in_turn == in_turn
        if not in_turn:
            assert (np.diff(of_phase[:, 1]) > 0).all()
            continue
        jobs = np.arange(phase.job_count)
        assert of_phase[:, 0].tolist() == (jobs % clusters).tolist()
        for cluster in range(clusters):
            assert (np.diff(of_phase[cluster::clusters, 1]) > 0).all()
        # at most one round ahead of the slowest
        for job, given in enumerate(of_phase[:, 1]):
            before = of_phase[: max(job // clusters - 1, 0) * clusters, 1]
            assert (before < given).all()
    if clusters == 1:
        assert result.cycles == first_free.cycles
        assert np.array_equal(spans, first_free.job_spans)
    else:
        # some cluster was not the first free one
        assert result.cycles != first_free.cycles


def test_a_slower_memory_never_makes_a_launch_faster():
    program = random_program(TINY, 3)
    taken = [model.simulate(program, latency=latency).cycles for latency in (2, 20, 100, 400)]
    assert taken == sorted(taken)
    assert taken[0] < taken[-1]


def test_more_clusters_help_where_there_are_jobs_for_them():
    one = random_program(replace(TINY, clusters=1), 5, jobs=20)
    four = random_program(replace(TINY, clusters=4), 5, jobs=20)
    assert one.products == four.products
    assert model.simulate(four).cycles < model.simulate(one).cycles


def test_bad_latency_and_endless_phases_are_refused():
    program = random_program(TINY, 0)
    with pytest.raises(InputError, match="latency must be at least 2 cycles, not 1"):
        model.simulate(program, latency=1)
    with pytest.raises(InputError, match="max_cycles, 10"):
        model.simulate(program, max_cycles=10)


@pytest.mark.parametrize("most", [2, 16, 1 << 16])
def test_windows_hold_the_cycles_of_every_pe_by_cause(most):
    program = random_program(TINY, 1, phases=2)
    plain, result = model.simulate(program), model.simulate(program, most_windows=most)
    assert result.cycles == plain.cycles
    assert np.array_equal(result.counters, plain.counters)
    assert plain.history.size == 0
    history = result.history
    windows = len(history)
    assert windows <= most
    assert (windows - 1) * result.window < result.cycles <= windows * result.window
    assert np.array_equal(history.sum(axis=(0, 2)), result.counters)
    lengths = np.full(windows, result.window)
    lengths[-1] = result.cycles - (windows - 1) * result.window
    for times in history.sum(axis=-1).reshape(windows, -1).T:
        assert np.array_equal(times, lengths)
    # Products are those of the jobs: no window before the first job's or after the last one's.
    busy = np.flatnonzero(history[..., 0].sum(axis=(1, 2)))
    spans = result.job_spans
    assert busy[0] * result.window >= spans[:, 1].min() - result.window
    assert busy[-1] * result.window <= spans[:, 2].max()
    fine = model.simulate(program, most_windows=1 << 16)
    assert fine.window == 1
    of_window = np.arange(len(fine.history)) // result.window
    for window in range(windows):
        assert np.array_equal(history[window], fine.history[of_window == window].sum(axis=0))
