# amaranth: UnusedElaboratable=no
"""The cycle model of a cluster's input equals the hardware in every cycle."""

from __future__ import annotations

import dataclasses
import functools
import random

import numpy as np
import pytest
from amaranth.hdl import Cat

from gscn.cycles.cluster import cluster_input as model
from gscn.cycles.cluster import dealer, portions, streamer, vectors
from gscn.cycles.cluster.dealer import ALL_PES, NO_PE
from gscn.cycles.descriptors import JOB, PASS, filled
from gscn.cycles.pe.worker import MAC, MARK, WORD, WORKER
from gscn.cycles.port.channel import CHANNELS, LOAD, STREAM, TABLE
from gscn.cycles.state import record
from gscn.formats import FP8_E4M3, NUMBER_FORMATS
from gscn.hw.array_layouts import WordKind
from gscn.hw.cluster import cluster_input as hardware
from gscn.hw.cluster import vectors as hardware_vectors
from gscn.hw.input_layouts import InputState, PortionKind
from gscn.pass_errors import PassError
from gscn.passes import Mode
from gscn.system.compiled import compiled
from tests.hw.cluster.test_cluster_input import CONFIGS, MAKERS, closed, most_entries, run
from tests.hw.memory import Memory
from tests.hw.streams import in_runs, plain, randomly

DRIVEN = record("begins", "given", "bank_cleared", granted=3, arrived=3, levels=16, marks=16)
"""What is driven in a cycle."""
SEEN = record(
    "ready", "state", "error", "ends_job",
    "pe", "kind", "job_end", "key", "span", "rows",
    beat=3, beats=3,
)  # fmt: skip
"""What the hardware or the model says in it; of words, bursts and errors only what there is."""


def test_states_and_channels_are_those_of_the_hardware():
    names = ("EMPTY", "LOAD", "DRAIN", "STREAM", "EXPAND")
    states = [getattr(streamer, f"STATE_{name}") for name in names]
    right = [getattr(InputState, name).value for name in names]
    assert [*states, dealer.STATE_FULL, dealer.STATE_MOVING] == [
        *right,
        InputState.FULL.value,
        InputState.MOVING.value,
    ]
    kinds = ("VALUES", "BLOCK", "END", "WRONG")
    assert [getattr(portions, name) for name in kinds] == [kind.value for kind in PortionKind]
    assert tuple(PortionKind.__members__) == kinds
    assert vectors.STREAM_VALUES == hardware_vectors.TAKEN
    assert [hardware.CHANNELS[n] for n in (LOAD, STREAM, TABLE)] == ["load", "stream", "table"]


class Watcher:
    """What is driven and seen in each cycle of the hardware."""

    def __init__(self, config):
        self.config = config
        self.driven, self.seen, self.jobs = [], [], []

    def __call__(self, dut):
        """Return a testbench that watches."""
        config = self.config
        signals = {
            "begins": dut.begin, "job": dut.job.p, "job_valid": dut.job.valid,
            "ready": dut.job.ready, "bank_cleared": dut.bank_cleared,
            "data_valid": dut.data_valid, "marks": dut.marks, "state": dut.state,
            "error": dut.error, "ends_job": dut.ends_job,
            "fired": Cat(o.valid & o.ready for o in dut.o),
        }  # fmt: skip
        for n in CHANNELS:
            signals |= {
                f"burst{n}": dut.commands[n].p, f"offered{n}": dut.commands[n].valid,
                f"granted{n}": dut.commands[n].ready,
            }  # fmt: skip
        for n in range(config.pes):
            signals |= {f"level{n}": dut.levels[n], f"word{n}": dut.o[n].p}

        async def bench(ctx):
            async for _, _, *values in ctx.tick().sample(*signals.values()):
                self.note(dict(zip(signals, map(plain, values), strict=True)))

        return bench

    def note(self, now):
        """Keep a cycle."""
        driven, seen = np.zeros((), DRIVEN), np.zeros((), SEEN)
        driven["begins"], driven["bank_cleared"] = now["begins"], now["bank_cleared"]
        driven["given"] = now["job_valid"] and now["ready"]
        if driven["given"]:
            self.jobs.append(now["job"])
        for n in CHANNELS:
            offered = now[f"offered{n}"]
            driven["granted"][n] = offered and now[f"granted{n}"]
            driven["arrived"][n] = now["data_valid"] >> n & 1
            if offered:
                seen["beats"][n] = now[f"burst{n}"]["beats"]
                seen["beat"][n] = now[f"burst{n}"]["addr"] // self.config.mem_bytes
        for n in range(self.config.pes):
            driven["levels"][n] = now[f"level{n}"]
            driven["marks"][n] = now["marks"] >> n & 1
        for name in ("ready", "error", "ends_job"):
            seen[name] = now[name]
        seen["state"] = InputState(now["state"]).value
        self.note_word(now, seen)
        self.driven.append(driven)
        self.seen.append(seen)

    def note_word(self, now, seen):
        """Note the word that leaves, if one does."""
        fired = now["fired"]
        seen["pe"] = NO_PE
        if not fired:
            return
        number = fired.bit_length() - 1
        word = now[f"word{number}"]
        kind = seen["kind"] = WordKind(word["kind"]).value
        if kind == MAC:
            assert fired == 1 << number
            seen["pe"] = number
            for name in ("key", "span", "rows"):
                seen[name] = word[name]
        else:
            assert fired == (1 << self.config.pes) - 1
            seen["pe"] = ALL_PES
            seen["job_end"] = word["job_end"]


@compiled
def look(inputs, seen):
    """Keep what is offered at the beginning of a cycle."""
    for n in range(3):
        channel = inputs.channels[0, n]
        if channel.beats:
            seen.beat[n] = channel.beat
            seen.beats[n] = channel.beats
    seen.ready = model.is_ready(inputs, 0)


@compiled
def follow(inputs, driven, jobs, passes, image, sizes, words, seen):
    """Step the model through what is driven; keep what it says."""
    me = inputs.inputs[0]
    workers = np.zeros(words.shape[0], WORKER)
    job = d = error = 0
    for cycle in range(driven.shape[0]):
        now, says = driven[cycle], seen[cycle]
        d += now.begins
        look(inputs, says)
        says.error = error
        for n in range(3):
            inputs.channels[0, n].granted = now.granted[n]
            inputs.channels[0, n].arrived = now.arrived[n]
        if now.given:
            model.give_job(inputs, 0, jobs[job])
            job += 1
        for pe in range(workers.shape[0]):
            # each takes every word that it is dealt: where the model errs, levels tell
            workers[pe].words = now.levels[pe]
            workers[pe].mark = now.marks[pe]
        depth = words.shape[1]
        model.step_input(inputs, 0, workers, depth, now.bank_cleared, passes[d], image, sizes)
        if now.begins:
            model.begin_pass(inputs, 0)
        error = me.error
        says.state = me.state
        says.ends_job = me.ends_job
        says.pe = me.pe
        if me.pe != NO_PE:
            model.deal(inputs, 0, workers, words)
            pe = max(me.pe, 0)
            word = words[pe, (workers[pe].words - 1) % depth]
            says.kind = word.kind
            says.job_end = word.job_end
            if word.kind == MAC:
                says.key = word.key
                says.span = word.span
                says.rows = word.rows


def modelled(config, watcher, passes, data):
    """Return what the model says in each cycle, and its state at the end."""
    seen = np.zeros(len(watcher.driven), SEEN)
    data = np.frombuffer(bytes(data) + bytes(-len(data) % 4), np.uint8)
    image = model.Image(halfwords=data.view(np.uint16), entries=data.view(np.uint32))
    inputs = model.new_inputs(config)
    follow(
        inputs, np.array(watcher.driven), filled(JOB, *watcher.jobs),
        filled(PASS, {}, *(made.fields for made in passes)), image, model.input_sizes(config),
        np.zeros((config.pes, config.word_depth), WORD), seen,
    )  # fmt: skip
    return seen, inputs


def assert_equal(config, passes, *, image, error=PassError.NONE, **options):
    """Run passes on the hardware, and the model beside it, to the error if there is one.

    Return what was seen, and the state of the model.
    """
    watcher = Watcher(config)
    if error:
        with pytest.raises(pytest.fail.Exception, match=error.name):
            run(passes, config, image=image, watcher=watcher, **options)
        assert watcher.seen[-1]["error"] == error
    else:
        run(passes, config, image=image, watcher=watcher, **options)
    right = np.array(watcher.seen)
    seen, inputs = modelled(config, watcher, passes, image.data)
    for cycle in np.flatnonzero(seen != right)[:1]:
        names = [name for name in SEEN.names if (seen[name] != right[name])[cycle].any()]
        got, wanted = seen[cycle][names], right[cycle][names]
        pytest.fail(f"{names} in cycle {cycle} of {len(right)} is {got}, must be {wanted}")
    return right, inputs


def paced(rng, seed):
    """Return random paces of memory, PEs and jobs."""
    return {
        "seed": seed, "pace": rng.choice([0.2, 0.6, 1]), "latency": rng.randint(1, 20),
        "memory": in_runs(seed), "source": lambda: randomly(seed, rng.choice([0, 0.3, 0.8])),
    }  # fmt: skip


@functools.cache
def scene(name, mode, seed, chained=1):
    """Return what a random pass shows, if hardware and model do not differ."""
    config = CONFIGS[name]
    rng = random.Random(repr((name, mode, seed)))
    image = Memory(config)
    image.reserve(64)
    made = closed(MAKERS[mode](rng, config, image, chained=chained))
    fits = most_entries(made)[0] < config.stationary_depth
    error = PassError.NONE if fits else PassError.WINDOW
    return assert_equal(config, [made], image=image, error=error, **paced(rng, seed))[0]


SCENES = [
    ("tiny", Mode.KERNEL, 100), ("tiny", Mode.CORRELATE, 100), ("narrow", Mode.KERNEL, 101),
    ("narrow", Mode.CORRELATE, 101), ("wide", Mode.KERNEL, 109), ("wide", Mode.CORRELATE, 100),
]  # fmt: skip


@pytest.mark.parametrize(("name", "mode", "seed"), SCENES)
def test_random_passes_equal_the_hardware_in_every_cycle(name, mode, seed):
    assert (scene(name, mode, seed)["pe"] != NO_PE).any()


def test_random_passes_show_all_that_there_is():
    seen = np.concatenate([scene(*one) for one in SCENES])
    assert set(seen["state"]) == {state.value for state in InputState}
    assert set(seen["pe"]) >= {NO_PE, ALL_PES, 0, 1, 2, 3}
    assert (seen["kind"] == MARK).any()
    assert (seen["rows"] > 0).any()
    assert (seen["span"] > 3).any()
    assert seen["ends_job"].any()
    ends = seen[seen["kind"] == WordKind.END.value]
    assert (ends["job_end"] == 0).any()
    offered = seen["beats"] > 0
    assert offered.any(axis=0).all()


@pytest.mark.parametrize("seed", range(3))
def test_held_maps_equal_the_hardware_in_every_cycle(seed):
    assert (scene("tiny", Mode.CORRELATE, seed, chained=0)["pe"] != NO_PE).any()


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize(
    ("mode", "chained"), [(Mode.KERNEL, 0), (Mode.CORRELATE, 1), (Mode.CORRELATE, 0)]
)
@pytest.mark.parametrize("seed", range(10))
def test_many_random_passes_equal_the_hardware_in_every_cycle(name, mode, chained, seed):
    scene(name, mode, seed, chained)


def test_what_is_known_of_a_pass_is_forgotten_with_it():
    config, rng = CONFIGS["tiny"], random.Random(3)
    image = Memory(config)
    image.reserve(64)
    modes = (Mode.KERNEL, Mode.CORRELATE, Mode.KERNEL)
    passes = [closed(MAKERS[mode](rng, config, image, samples=1)) for mode in modes]
    assert_equal(config, passes, image=image, **paced(rng, 3))


SMALL = {"directory_depth": 64, "chunks_depth": 4}
CHUNKS = {"contracted": 40, "t_vectors": 0, "taps_y": 1, "taps_x": 2, "outputs": 5}
"""A tile of three chunks of 32 keys."""


@pytest.mark.parametrize(
    ("mode", "rings", "wanted"),
    [
        (Mode.CORRELATE, SMALL | {"stationary_depth": 32}, {"samples": 3, "unit_strips": 0}),
        (Mode.CORRELATE, SMALL | {"stationary_depth": 64}, {"samples": 3, "unit_strips": 1}),
        (Mode.CORRELATE, SMALL | {"stationary_depth": 32}, {"samples": 3, "chained": 0}),
        (Mode.KERNEL, SMALL | {"stationary_depth": 64}, CHUNKS),
        (Mode.KERNEL, SMALL | {"directory_depth": 128}, CHUNKS | {"outputs": 20}),
    ],
    ids=[
        "chained",
        "parts of a sample",
        "a map that is too large",
        "one chunk at a time",
        "a tile at a time",
    ],
)
def test_chunks_are_forgotten_and_loaded_again_as_in_the_hardware(mode, rings, wanted):
    config = dataclasses.replace(CONFIGS["tiny"], **rings)
    rng = random.Random(0)
    image = Memory(config)
    image.reserve(64)
    made = closed(MAKERS[mode](rng, config, image, weights=0.1, **wanted))
    _, inputs = assert_equal(config, [made], image=image, **paced(rng, 0))
    window = inputs.windows[0]
    assert window["freed"] > 0
    assert window["loaded"] * made.fields["s_keys"] > config.directory_depth


def test_a_window_that_does_not_fit_is_found_in_the_same_cycle():
    config = dataclasses.replace(CONFIGS["tiny"], stationary_depth=16)
    rng = random.Random(3)
    image = Memory(config)
    image.reserve(64)
    made = MAKERS[Mode.KERNEL](rng, config, image)
    assert_equal(config, [made], image=image, error=PassError.WINDOW, **paced(rng, 3))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize(
    ("place", "error"),
    [
        ("s_table", PassError.TABLE), ("t_table", PassError.TABLE),
        ("s_data", PassError.STRIP), ("t_data", PassError.STRIP),
    ],
)  # fmt: skip
def test_broken_operands_are_found_in_the_same_cycle(mode, place, error):
    config, rng = CONFIGS["tiny"], random.Random(5)
    image = Memory(config)
    image.reserve(64)
    made = MAKERS[mode](rng, config, image, samples=1, whole_samples=True)
    at = made.fields[place]
    image.data[at : at + 4] = b"\xff\xff\xff\x0f" if error == PassError.TABLE else bytes(4)
    assert_equal(config, [made], image=image, error=error, **paced(rng, 5))


@pytest.mark.parametrize("seed", [5, 6])
def test_a_channel_that_its_chunk_lacks_is_found_in_the_same_cycle(seed):
    config, rng = CONFIGS["tiny"], random.Random(seed)
    image = Memory(config)
    image.reserve(64)
    made = MAKERS[Mode.KERNEL](rng, config, image, samples=1, contracted=20, t_vectors=0)
    made.fields["s_outer_last"] -= 1  # of 4, all of which some word has
    made.fields["s_outer"] -= seed == 6
    assert_equal(config, [made], image=image, error=PassError.STRIP, **paced(rng, seed))


def test_values_of_8_bits_are_two_to_a_halfword_in_an_array_of_16():
    config = dataclasses.replace(CONFIGS["tiny"], float_formats="fp8_e4m3")
    rng = random.Random(7)
    image = Memory(config)
    image.reserve(64)
    narrow = dataclasses.replace(config, operand_format="int8", float_formats="")
    made = closed(MAKERS[Mode.KERNEL](rng, narrow, image))
    made.fields["number_format"] = NUMBER_FORMATS.index(FP8_E4M3)
    seen, _ = assert_equal(config, [made], image=image, **paced(rng, 7))
    assert (seen["pe"] >= 0).any()
