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
from gscn.emulator.pass_checks import check_descriptor, pass_fields
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, VECTOR, Mode
from gscn.registers import NO_PASS
from tests.cosim.lists import fault_of, modelled
from tests.cosim.test_launch import INTEGERS
from tests.pass_programs import TINY, random_program

pytestmark = pytest.mark.cosim

FAULTY = Conditions(axi=True, reset=False, faulty=True, timeout_cycles=400_000)
ABORT_CYCLE = 2500
"""Later than the checks of a descriptor, and most errors of its operands."""
TRIES = 300
"""Changes of a descriptor that are tried."""
FIELDS = {name: kind for name, (kind, _) in PASS_DESCRIPTOR.dtype.fields.items()}
ADDRESSES = ("s_data", "s_table", "t_data", "t_table", "out_addr")
MEMORY = 1 << 24
"""Above every memory here."""


def small(seed, config=INTEGERS):
    """Return a small list that is right."""
    return random_program(seed, 0, config=config, count=1)


def with_descriptor(program, content):
    """Return a list with another descriptor in the place of its first."""
    image = program.image.copy()
    first = program.descriptors_addr
    image[first : first + len(content)] = np.frombuffer(content, np.uint8)
    return dataclasses.replace(program, image=image)


def any_number(rng, kind):
    """Draw a value of a field: any number of bits is as likely."""
    bits = 8 * kind.itemsize - (kind.kind == "i")
    number = rng.getrandbits(rng.randint(1, bits))
    return -number if kind.kind == "i" and rng.random() < 0.5 else number


def repaired(rng, fields):
    """Return fields with those that follow from others as the checks want them."""
    f = dict(fields)
    f["s_groups"] = max(f["s_groups"], f["s_tiles"])
    if f["mode"] == Mode.KERNEL:
        f |= {"taps_y": f["s_mid"], "taps_x": f["s_inner"], "t_groups": f["s_chunks"]}
        f["lane_step"] = f["s_mid"] * f["s_inner"]
        f["s_offset_inner"], f["s_offset_mid"] = f["x_step"], f["y_step"]
        f["run"] = VECTOR << f["s_vectors"]
        nest = ("pixel_bytes", "cols"), ("row_bytes", "rows"), ("sample_bytes", "samples")
    else:
        f |= {"cols": f["s_inner"], "s_mid": 1}
        f["rows"] = (f["s_chunks"] - 1) * f["s_outer"] + f["s_outer_last"]
        f["x_step"] = -f["s_offset_inner"]
        f["t_tiles"] = (f["t_groups"] - 1 << f["t_split"]) + rng.randint(1, 1 << f["t_split"] % 16)
        nest = (("t_tile_bytes", "t_tiles"),)
    f["s_keys"] = f["s_outer"] * f["s_mid"] * f["s_inner"]
    f["row_keys"] = f["s_inner"]
    step = f["run"] * 8
    for name, count in (*nest, ("s_tile_bytes", "s_tiles")):
        f[name] = max(f[name] & -64, step) if rng.random() < 0.5 else step
        step = f[name] * f[count]
    f["out_end"] = f["out_addr"] + step
    return f


def writes_at_once(f):
    """Return whether a tile can need no strip of the stream: its results are zeros, and written."""
    row_tiles = -(-f["rows"] // max(f["tile_rows"], 1))
    needed = f["strips_after"] > 0 and (row_tiles - 1) * f["tile_strips"] < f["t_strips"]
    return f["mode"] == Mode.KERNEL and not needed


def wild_descriptor(rng, config, fields):
    """Return a descriptor that the checks take, as far as it gets from the fields of a pass.

    Its operands and results are anywhere beyond memory. As those cannot be read, none is written.
    """
    names = [
        name
        for name in FIELDS
        if name not in (*ADDRESSES, "mode", "number_format", "out_end")
        and not name.startswith("reserved")
    ]
    for _ in range(TRIES):
        chosen = {name: any_number(rng, FIELDS[name]) for name in rng.sample(names, 2)}
        places = {name: rng.randrange(MEMORY, 1 << 32) & -64 for name in ADDRESSES}
        tried = repaired(rng, fields | chosen | places)
        limits = {name: np.iinfo(FIELDS[name]) for name in tried}
        inside = all(limits[name].min <= one <= limits[name].max for name, one in tried.items())
        if not inside or writes_at_once(tried):
            continue
        one = pass_fields(PASS_DESCRIPTOR.pack(1, **tried)[0])
        if check_descriptor(one, config) == PassError.NONE:
            fields = tried
    # nobody reads what is reserved
    return fields | {name: rng.getrandbits(8) for name in FIELDS if name.startswith("reserved")}


def fields_of(program):
    """Return the fields of a list's first descriptor."""
    first = program.descriptors_addr
    content = program.image[first : first + DESCRIPTOR_BYTES]
    return pass_fields(PASS_DESCRIPTOR.unpack(content)[0])._asdict()


def test_descriptors_of_any_bits_are_reported():
    rng = random.Random(3)
    contents = [b"\xff" * DESCRIPTOR_BYTES, bytes(DESCRIPTOR_BYTES)] * 2
    contents += [rng.randbytes(DESCRIPTOR_BYTES) for _ in range(12)]
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
    rng = random.Random(5)
    lists = []
    for number in range(40):
        base = random_program(number, 1, config=config, mode=Mode(number % 2), count=1)
        content = PASS_DESCRIPTOR.pack(1, **wild_descriptor(rng, config, fields_of(base)))
        lists += [with_descriptor(base, content.tobytes()), small(number, config)]
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


def test_passes_with_many_tiles_are_aborted_and_the_next_list_is_right():
    rng = random.Random(6)
    lists, moments = [], []
    for number in range(8):
        base = random_program(number, 1, config=INTEGERS, mode=Mode(number % 2), count=1)
        fields = fields_of(base)
        placed = {name: fields[name] for name in ADDRESSES}
        wild = wild_descriptor(rng, INTEGERS, fields) | placed
        # as far as memory goes
        wild["out_end"] = min(wild["out_addr"] + (1 << 31), (1 << 32) - 1)
        content = PASS_DESCRIPTOR.pack(1, **wild).tobytes()
        lists += [with_descriptor(base, content), small(number)]
        moments += [ABORT_CYCLE, 0]
    runs = run(INTEGERS, lists, FAULTY, check=False, abort_cycles=moments)
    for number, (program, done) in enumerate(zip(lists, runs, strict=True)):
        if moments[number]:
            assert done.error is None, f"list {number}: {done.error}"
        else:
            assert fault_of(program, done, bus_errors=True) is None, number
