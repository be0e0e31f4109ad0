"""A machine's lists of random passes of both kinds leave what the emulator says, or its error."""

from __future__ import annotations

import dataclasses
import functools
import random

import numpy as np
import pytest

from gscn.control import CONTROL_MODE, CONTROL_RECORD, LINKS, Queue
from gscn.cosim.conditions import DEFAULT_CONDITIONS, Conditions
from gscn.cosim.lists import ListSimulator
from gscn.emulator.list_records import STATE_BYTES
from gscn.emulator.lists import run_list
from gscn.emulator.pass_checks import PassFields, check_descriptor
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_DESCRIPTOR_BYTES, EncodeError
from gscn.pass_errors import PassError
from gscn.passes import PASS_DESCRIPTOR
from tests.cosim.encode_sizes import passes_of_any_size
from tests.cosim.list_hosts import Told
from tests.cosim.random_lists import array_part, encode_part, placed_list
from tests.cosim.wild_encode import (
    MEMORY,
    by_variety,
    long_pass,
    random_passes,
    with_any_bits,
    with_any_strips,
)
from tests.hw.encode.test_unit import damaged_images
from tests.step_machines import simulator_of
from tests.step_runs import CONFIG

pytestmark = pytest.mark.cosim
NAMES = ENCODE_DESCRIPTOR.dtype.names
SPACE = 1 << CONFIG.addr_width
TOP_BYTES = 2
WINDOW = int(PASS_DESCRIPTOR.dtype.fields["window"][1])
DRAWN, PASSES = 48, 14
"""Encode passes that are drawn, and those of a list."""
HIGH = (300, 1000)
"""Tops above every product of a pass."""


@functools.cache
def drawn():
    """Return random encode passes, those that are most unlike the ones before them first."""
    return by_variety(random_passes(DRAWN, 400))


class Controls:
    """Control records before each pass: tops of it or of none, waits, and stops."""

    def __init__(self, parts, seed):
        self.parts, self.seed = parts, seed
        self.stops = 0

    def __call__(self, number, places, following, counts):
        """Return fields of records; the same ones, whatever the places."""
        rng, one = random.Random(f"{self.seed} {number}"), self.parts[number]
        states = [
            places[n] + other.fields["state_addr"]
            for n, other in enumerate(self.parts[:number])
            if other.queue == Queue.ENCODE
        ]
        if not states:
            return [any_beyond(rng, {"stop": rng.getrandbits(32)})]
        tops = [places[number] + one.tops + TOP_BYTES * n for n in range(STATE_BYTES // TOP_BYTES)]
        queue = rng.choice(list(Queue))
        waits = {Queue.ENCODE: rng.randint(0, counts[Queue.ARRAY]),
                 Queue.ARRAY: counts[Queue.ENCODE]}  # fmt: skip
        found = [{
            "queue": queue,
            "wait": waits[queue],
            "stop": rng.choice((0, rng.getrandbits(32))),
            **_links(rng, rng.sample(tops, LINKS), states, (-(1 << 15), 1000)),
        }]  # fmt: skip
        if one.queue == Queue.ARRAY:
            wait = counts[Queue.ENCODE] + (queue == Queue.ENCODE)
            links = _links(rng, [following + 2 * CONTROL_RECORD.width // 8 + WINDOW], states, HIGH)
            found.append({"queue": Queue.ARRAY, "wait": wait, **links})
        return [any_beyond(rng, one) for one in found]


def _links(rng, targets, states, margins):
    """Return links that set tops from one or two states each."""
    fields = {"links": rng.randint(1, len(targets))}
    for n, target in enumerate(targets):
        fields |= {
            f"target{n}": target,
            f"first{n}": rng.choice(states),
            f"second{n}": rng.choice((0, *states)),
            f"margin{n}": rng.randint(*margins),
        }
    return fields


def any_beyond(rng, fields):
    """Return fields of a control record with any bits in what it does not look at."""
    unused = range(fields.get("links", 0), LINKS)
    names = {f"{name}{n}" for name in ("target", "first", "second", "margin") for n in unused}
    return fields | {
        one.name: rng.getrandbits(one.width - one.signed)
        for one in CONTROL_RECORD.fields
        if one.name in names or one.name.startswith("reserved")
    }


def machine(memory, conditions=DEFAULT_CONDITIONS, regions=()):
    return ListSimulator(
        CONFIG, memory, conditions, simulator=simulator_of(CONFIG), regions=regions
    )


@pytest.mark.parametrize("together", [False, True], ids=["in order", "two queues"])
def test_random_lists_anywhere_in_memory_leave_what_the_emulator_leaves(together):
    rng = random.Random(together)
    passes = [*drawn()[together : 2 * PASSES : 2], *([] if together else [long_pass()])]
    parts = [encode_part(*with_any_bits(rng, one)) for one in passes]
    parts += [array_part(CONFIG, n) for n in range(3)]
    rng.shuffle(parts)
    controls = Controls(parts, together)
    one = placed_list(parts, controls, random.Random(2), SPACE)
    host, told = Told(None), Told(None)
    expected = run_list(CONFIG, one.memory, one.addr, one.end, host)
    assert expected.error == EncodeError.NONE
    addr, end = one.regions[-1].addr, one.regions[-1].addr + one.regions[-1].bytes
    conditions = Conditions(stall_probability=0.2 * together, seed=1)
    with machine(one.moved, conditions, one.regions) as simulator:
        run, told = simulator.run(addr, end, told, together=together)
        memory, _ = simulator.memory()
    assert run.error == EncodeError.NONE
    assert sorted(told.numbers) == sorted(host.numbers)
    assert (run.flags["saturated"], run.flags["nonfinite"]) == (
        expected.saturated,
        expected.nonfinite,
    )
    wrong = np.flatnonzero(memory[: one.addr] != expected.memory[: one.addr])
    assert wrong.size == 0, f"{wrong.size} bytes from {wrong[:4]} on"


def test_lists_anywhere_in_memory_begin_and_end():
    """Of a control record each, which tells the list's number."""
    rng = random.Random(5)
    record = CONTROL_RECORD.width // 8
    numbers = [rng.getrandbits(32) | 1 << n for n in range(24)]
    content = [CONTROL_RECORD.pack(mode=3, queue=n % 2, stop=one).view(np.uint8)
               for n, one in enumerate(numbers)]  # fmt: skip
    memory = np.concatenate(content)
    addrs = [rng.randrange(SPACE // 4096) * 4096 + 64 * n for n in range(23)] + [SPACE - record]
    regions = [(addr, record * n, record) for n, addr in enumerate(addrs)]
    with machine(memory, regions=regions) as simulator:
        for number, addr in zip(numbers, addrs, strict=True):
            run, host = simulator.run(addr, addr + record, Told(None))
            assert (run.error, host.numbers) == (EncodeError.NONE, [number])


def test_encode_passes_of_any_size_are_given_up_at_once_if_their_first_vector_is_out_of_range():
    """None writes anything; together they have all numbers that the checks leave free."""
    size, most = ENCODE_DESCRIPTOR_BYTES, 64
    fields = passes_of_any_size(random.Random(8), CONFIG, (0, most * size))
    assert len(fields) < most
    memory = np.concatenate([ENCODE_DESCRIPTOR.pack(**one).view(np.uint8) for one in fields])
    with machine(memory, Conditions(faulty=True)) as simulator:
        for addr in range(0, memory.size, size):
            run, _ = simulator.run(addr, addr + size, Told(None))
            assert run.error in (EncodeError.RANGE, EncodeError.TABLE), addr
            assert run.error_addr == addr
        after, written = simulator.memory()
    assert np.array_equal(after, memory)
    assert not written.any()


def test_strips_of_any_length_anywhere_are_reported():
    """There is no memory where they are: they are not what their table says, if that is right."""
    rng = random.Random(9)
    passes = [with_any_strips(rng, one) for one in drawn() if one[0].get("t0_strips")]
    parts = [encode_part(*one, fixed=("t0_addr", "t0_end")) for one in passes]
    placed, errors = placed_list(parts, lambda *_: [], rng, SPACE), set()
    assert placed.memory.size <= MEMORY
    with machine(placed.memory, Conditions(faulty=True)) as simulator:
        for begin in range(placed.addr, placed.end, ENCODE_DESCRIPTOR_BYTES):
            run, _ = simulator.run(begin, begin + ENCODE_DESCRIPTOR_BYTES, Told(None))
            errors.add(run.error)
    assert errors == {EncodeError.TABLE, EncodeError.STRIP}


def wrong_controls(rng):
    """Return fields of control records that are wrong, with every bit of what is looked at."""
    fields = [{name: 1 << bit | 1} for name, low in (("links", 3), ("queue", 1))
              for bit in range(low, 8)]  # fmt: skip
    fields += [{"wait": 1 << bit} for bit in range(32)]
    last = rng.randrange(LINKS)
    for name, low in (("target", 1), ("first", 6), ("second", 6)):
        bits = [*range(low), *range(CONFIG.addr_width, 64)]
        fields += [{"links": LINKS, f"{name}{rng.choice((last, 0))}": 1 << bit} for bit in bits]
    return [{"queue": rng.choice(list(Queue))} | one for one in fields]


def wrong_array_parts(rng, count):
    """Return passes of the array that the checks refuse, each with a bit of a field turned over."""
    found = []
    while len(found) < count:
        one = array_part(CONFIG, len(found))
        field = rng.choice([f for f in PASS_DESCRIPTOR.fields if not f.name.startswith("reserved")])
        fields = one.fields | {
            field.name: one.fields[field.name] ^ 1 << rng.randrange(field.width - field.signed)
        }
        if check_descriptor(PassFields(**fields), CONFIG) != PassError.NONE:
            found.append(dataclasses.replace(one, fields=fields))
    return found


def damaged_encode_parts(rng, count):
    """Return encode passes of which some are refused, or fail under way."""
    return [
        encode_part(dict(zip(NAMES, record_of(image).item(), strict=True)), image)
        for image in damaged_images(rng, drawn(), count)
    ]


def record_of(image):
    return ENCODE_DESCRIPTOR.unpack(image[:ENCODE_DESCRIPTOR_BYTES])[0]


def test_wrong_records_have_the_error_of_the_emulator_and_leave_the_next_list_alone():
    """Lists of one pass each, or of control records; after an error there is a reset."""
    rng = random.Random(1)
    parts = [*damaged_encode_parts(rng, 60), *wrong_array_parts(rng, 12)]
    placed = placed_list(parts, lambda *_: [], rng, SPACE)
    end = placed.addr
    lists = []
    for one in parts:
        begin, end = end, end + one.record.width // 8
        lists.append((begin, end))
    control = CONTROL_RECORD.width // 8
    records = [{}, {"queue": 1}, {}]
    contents = [placed.memory]
    for fields in wrong_controls(rng):
        content = [CONTROL_RECORD.pack(**{"mode": CONTROL_MODE, **one}).view(np.uint8)
                   for one in (*records, fields)]  # fmt: skip
        contents += content
        begin, end = end, end + control * len(content)
        lists.append((begin, end))
    found = set()
    with machine(np.concatenate(contents), Conditions(faulty=True)) as simulator:
        memory, _ = simulator.memory()
        for begin, end in lists:
            expected = run_list(CONFIG, memory, begin, end)
            run, _ = simulator.run(begin, end, Told(None))
            assert run.error == expected.error, (begin, run.error, expected.error)
            after, _ = simulator.memory()
            if run.error == EncodeError.NONE:
                assert np.array_equal(after, expected.memory)
            else:
                assert run.error_addr == expected.error_addr
            found.add(run.error)
            memory = after
    assert found >= {EncodeError.NONE, EncodeError.ADDRESS, EncodeError.ORDER, EncodeError.RANGE}
