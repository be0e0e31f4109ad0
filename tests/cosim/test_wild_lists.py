"""A machine's lists of random passes of both kinds leave what the emulator says."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gscn.control import CONTROL_RECORD, LINKS, Queue
from gscn.cosim.conditions import DEFAULT_CONDITIONS, Conditions
from gscn.cosim.lists import ListSimulator
from gscn.emulator.lists import run_list
from gscn.encode import EncodeError
from gscn.passes import PASS_DESCRIPTOR
from tests.cosim.list_hosts import Told
from tests.cosim.random_lists import array_part, encode_parts, placed_list
from tests.step_machines import simulator_of
from tests.step_runs import CONFIG

pytestmark = pytest.mark.cosim
SPACE = 1 << CONFIG.addr_width
TOP_BYTES = 2
WINDOW = int(PASS_DESCRIPTOR.dtype.fields["window"][1])
HIGH = (300, 700)
"""Tops above every product of a pass."""


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
            return [{"stop": rng.getrandbits(32)}]
        tops = places[number] + one.tops
        found = [{
            "wait": rng.randint(0, counts[Queue.ARRAY]),
            "stop": rng.choice((0, rng.getrandbits(32))),
            **_links(rng, [tops + TOP_BYTES * n for n in range(LINKS)], states, (-(1 << 15), 1000)),
        }]  # fmt: skip
        if one.queue == Queue.ARRAY:
            links = _links(rng, [following + 2 * CONTROL_RECORD.width // 8 + WINDOW], states, HIGH)
            found.append({"queue": Queue.ARRAY, "wait": counts[Queue.ENCODE] + 1, **links})
        return found


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


def machine(memory, conditions=DEFAULT_CONDITIONS, regions=()):
    return ListSimulator(
        CONFIG, memory, conditions, simulator=simulator_of(CONFIG), regions=regions
    )


@pytest.mark.parametrize("together", [False, True], ids=["in order", "two queues"])
def test_random_lists_anywhere_in_memory_leave_what_the_emulator_leaves(together):
    parts = encode_parts(14, 3 + together) + [array_part(CONFIG, n) for n in range(3)]
    random.Random(together).shuffle(parts)
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
