"""Lists with any bits in descriptors and addresses, and passes of any size: reported or aborted.

All follow one another without a reset, and after every few of them a list runs right. Results of
passes of such sizes would take years; what is required of them is that they write nothing outside
of their results, and leave nothing behind.
"""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest

from gscn.cosim import Conditions, run
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, TABLE_ENTRY_BYTES, Mode
from gscn.registers import NO_PASS
from tests.cosim.lists import fault_of, modelled
from tests.cosim.scattered import scattered
from tests.cosim.test_launch import INTEGERS
from tests.cosim.wild import ADDRESSES, MEMORY, Wild, fields_of, roomy_fields
from tests.pass_programs import TINY, random_program

pytestmark = pytest.mark.cosim

FAULTY = Conditions(axi=True, reset=False, faulty=True, timeout_cycles=400_000)
ABORT_CYCLE = 2500
"""Later than the checks of a descriptor, and most errors of its operands."""
PASSES = 40
"""Of any size."""


def small(seed, config=INTEGERS):
    """Return a small list that is right."""
    return random_program(seed, 0, config=config, count=1)


def with_descriptor(program, content):
    """Return a list with another descriptor in the place of its first."""
    image = program.image.copy()
    first = program.descriptors_addr
    image[first : first + len(content)] = np.frombuffer(content, np.uint8)
    return dataclasses.replace(program, image=image)


def test_descriptors_of_any_bits_are_reported():
    rng = random.Random(3)
    contents = [b"\xff" * DESCRIPTOR_BYTES, bytes(DESCRIPTOR_BYTES)] * 2
    contents += [rng.randbytes(DESCRIPTOR_BYTES) for _ in range(30)]
    lists = [with_descriptor(small(seed), content) for seed, content in enumerate(contents)]
    mixed = [one for number, bad in enumerate(lists) for one in (bad, small(number))]
    runs = run(INTEGERS, mixed, FAULTY, check=False)
    faults = [fault_of(one, done, bus_errors=True) for one, done in zip(mixed, runs, strict=True)]
    assert faults == [None] * len(mixed)


def test_lists_of_any_address_and_length_are_reported():
    rng = random.Random(4)
    lists = []
    for bits in range(20, 64):
        addr = (rng.getrandbits(bits) | 1 << bits) & -64
        count = rng.getrandbits(rng.randint(1, 32)) if bits != 21 else 0
        if bits < 32 and bits % 3:
            count %= ((1 << 32) - addr) // DESCRIPTOR_BYTES + 1
        lists.append(dataclasses.replace(small(bits), descriptors_addr=addr, passes=range(count)))
    mixed = [one for number, bad in enumerate(lists) for one in (bad, small(number))]
    runs = run(INTEGERS, mixed, FAULTY, check=False)
    errors = set()
    for number, (program, done) in enumerate(zip(mixed, runs, strict=True)):
        if number % 2:
            assert fault_of(program, done, bus_errors=True) is None, number
        else:
            errors.add(done.error_code)
            assert (done.error, done.error_code) == (None, modelled(program).error), number
            assert done.error_pass == NO_PASS, number  # none is known yet
            assert not done.written.any(), number
    assert errors == {PassError.START_ADDRESS, PassError.START_PASSES, PassError.BUS_READ}


@pytest.mark.parametrize("config", [INTEGERS, TINY], ids=["integers", "floats"])
def test_passes_of_any_size_beyond_memory_are_reported(config):
    wild, lists = Wild(random.Random(5), config), []
    for number in range(PASSES):
        mode = Mode(number % 2)
        base = random_program(number, 1, config=config, mode=mode, count=1)
        fields = roomy_fields(config, mode) if number % 4 > 1 else fields_of(base)
        content = PASS_DESCRIPTOR.pack(1, **wild.descriptor(fields))
        lists += [with_descriptor(base, content.tobytes()), small(number, config)]
    assert not any(wild.unseen.values()), wild.unseen
    behind = config == INTEGERS
    runs = run(
        config, lists, dataclasses.replace(FAULTY, axi=behind, reset=not behind), check=False
    )
    for number, (program, done) in enumerate(zip(lists, runs, strict=True)):
        if number % 2:
            assert fault_of(program, done, bus_errors=behind) is None, number
        else:
            assert done.error is None, f"list {number}: {done.error}"
            expected = [PassError.BUS_READ] if behind else [PassError.TABLE, PassError.STRIP]
            assert done.error_code in expected, number
            assert not done.written.any(), number


@pytest.mark.parametrize("config", [INTEGERS, TINY], ids=["integers", "floats"])
def test_operands_beyond_memory_are_reported(config):
    rng = random.Random(7)
    lists = []
    for number in range(16):
        base = random_program(number, 1, config=config, mode=Mode(number % 2), count=1)
        fields = fields_of(base)
        for name in ADDRESSES[number % 4 : number % 4 + 1 + number // 8]:
            if name != "out_addr":
                fields[name] = rng.randrange(MEMORY, 1 << 31) & -64 | rng.getrandbits(1) << 31
        content = PASS_DESCRIPTOR.pack(1, **fields).tobytes()
        lists += [with_descriptor(base, content), small(number, config)]
    behind = config == INTEGERS
    conditions = dataclasses.replace(FAULTY, axi=behind, reset=not behind)
    runs = run(config, lists, conditions, check=False)
    for number, (program, done) in enumerate(zip(lists, runs, strict=True)):
        assert fault_of(program, done, bus_errors=behind) is None, number


def with_long_strip(program, part, bit):
    """Return a list whose operand has a strip that seems to end 2 to the power of `bit` later."""
    fields, image = fields_of(program), program.image.copy()
    second = fields[f"{part}_table"] + TABLE_ENTRY_BYTES * fields[f"{part}_groups"]
    entry = image[second : second + TABLE_ENTRY_BYTES].view("<u4")
    entry |= np.uint32(1 << bit)
    return dataclasses.replace(program, image=image)


def test_strips_of_any_length_are_reported():
    """Operands seem to go on to the end of all addresses: no table is wrong by itself."""
    rng = random.Random(8)
    lists, regions, read = [], [], []
    for number, bit in enumerate(range(10, 31)):
        for part in "st":
            base = random_program(number, 1, config=INTEGERS, mode=Mode(number % 2), count=1)
            damaged = with_long_strip(base, part, bit)
            # where operands end where they do, it is the table that is wrong; if the pass reads it
            read.append(modelled(damaged).error != PassError.NONE)
            moved, parts = scattered(damaged, rng, longest=True)
            lists += [moved, small(number)]
            regions += [parts, ()]
    assert sum(read) > len(read) // 3
    runs = run(INTEGERS, lists, FAULTY, check=False, regions=regions)
    for number, (program, done) in enumerate(zip(lists, runs, strict=True)):
        if number % 2:
            assert fault_of(program, done, bus_errors=True) is None, number
        else:
            assert done.error is None, f"list {number}: {done.error}"
            possible = (PassError.TABLE, PassError.STRIP, PassError.BUS_READ)
            assert (done.error_code in possible) == read[number // 2], number


def test_passes_with_many_tiles_are_aborted_and_the_next_list_is_right():
    wild, lists, moments = Wild(random.Random(6), INTEGERS), [], []
    for number in range(8):
        base = random_program(number, 1, config=INTEGERS, mode=Mode(number % 2), count=1)
        fields = fields_of(base)
        placed = {name: fields[name] for name in ADDRESSES}
        fields = wild.descriptor(fields) | placed
        # as far as memory goes
        fields["out_end"] = min(fields["out_addr"] + (1 << 31), (1 << 32) - 1)
        content = PASS_DESCRIPTOR.pack(1, **fields).tobytes()
        lists += [with_descriptor(base, content), small(number)]
        moments += [ABORT_CYCLE, 0]
    runs = run(INTEGERS, lists, FAULTY, check=False, abort_cycles=moments)
    for number, (program, done) in enumerate(zip(lists, runs, strict=True)):
        if moments[number]:
            assert done.error is None, f"list {number}: {done.error}"
        else:
            assert fault_of(program, done, bus_errors=True) is None, number
