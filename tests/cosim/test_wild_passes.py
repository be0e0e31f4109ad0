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
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR, Mode
from tests.cosim.lists import fault_of
from tests.cosim.test_launch import INTEGERS
from tests.pass_programs import random_program

pytestmark = pytest.mark.cosim

FAULTY = Conditions(axi=True, reset=False, faulty=True, timeout_cycles=400_000)
ABORT_CYCLE = 2500
"""Later than the checks of a descriptor, and most errors of its operands."""
TRIES = 400
"""Changes of a descriptor that are tried."""
FIELDS = {name: kind for name, (kind, _) in PASS_DESCRIPTOR.dtype.fields.items()}
KEPT = {"mode", "number_format", "s_data", "s_table", "t_data", "t_table", "out_addr"}


def small(seed):
    """Return a small list that is right."""
    return random_program(seed, 0, config=INTEGERS, count=1)


def with_descriptor(program, content):
    """Return a list with other descriptors in the place of its first."""
    image = program.image.copy()
    first = program.descriptors_addr
    image[first : first + len(content)] = np.frombuffer(content, np.uint8)
    return dataclasses.replace(program, image=image)


def any_number(rng, kind):
    """Draw a value of a field: any number of bits is as likely."""
    bits = 8 * kind.itemsize - (kind.kind == "i")
    number = rng.getrandbits(rng.randint(1, bits))
    return -number if kind.kind == "i" and rng.random() < 0.5 else number


def repaired(fields):
    """Return fields with those that follow from others as the checks want them."""
    f = dict(fields)
    f["s_keys"] = f["s_outer"] * f["s_mid"] * f["s_inner"]
    f["row_keys"] = f["s_inner"]
    if f["mode"] == Mode.KERNEL:
        f |= {"taps_y": f["s_mid"], "taps_x": f["s_inner"], "t_groups": f["s_chunks"]}
        f["lane_step"] = f["s_mid"] * f["s_inner"]
        f["s_offset_inner"], f["s_offset_mid"] = f["x_step"], f["y_step"]
    else:
        f |= {"cols": f["s_inner"], "s_mid": 1}
        f["rows"] = (f["s_chunks"] - 1) * f["s_outer"] + f["s_outer_last"]
        f["x_step"] = -f["s_offset_inner"]
    return f


def wild_descriptor(rng, program):
    """Return a descriptor that the checks take, as far as it gets from a pass's."""
    first = program.descriptors_addr
    place = program.image[first : first + DESCRIPTOR_BYTES]
    fields = pass_fields(PASS_DESCRIPTOR.unpack(place)[0])._asdict()
    names = [name for name in FIELDS if name not in KEPT and not name.startswith("reserved")]
    ends = (first, first + DESCRIPTOR_BYTES)
    for _ in range(TRIES):
        chosen = {name: any_number(rng, FIELDS[name]) for name in rng.sample(names, 2)}
        tried = repaired(fields | chosen)
        limits = {name: np.iinfo(FIELDS[name]) for name in tried}
        if any(not limits[name].min <= value <= limits[name].max for name, value in tried.items()):
            continue
        one = pass_fields(PASS_DESCRIPTOR.pack(1, **tried)[0])
        if check_descriptor(one, INTEGERS, ends) == PassError.NONE:
            fields = tried
    return fields


def test_descriptors_and_lists_of_any_bits_are_reported():
    rng = random.Random(3)
    contents = [b"\xff" * DESCRIPTOR_BYTES, bytes(DESCRIPTOR_BYTES)] * 2
    contents += [rng.randbytes(DESCRIPTOR_BYTES) for _ in range(12)]
    lists = [with_descriptor(small(seed), content) for seed, content in enumerate(contents)]
    for bits in range(20, 32):
        addr = rng.getrandbits(bits) | 1 << bits
        lists.append(dataclasses.replace(small(bits), descriptors_addr=addr & -64))
    mixed = [one for number, bad in enumerate(lists) for one in (bad, small(number))]
    runs = run(INTEGERS, mixed, FAULTY, check=False)
    faults = [fault_of(one, done, bus_errors=True) for one, done in zip(mixed, runs, strict=True)]
    assert faults == [None] * len(mixed)


def test_passes_of_any_size_are_aborted_or_reported_and_the_next_list_is_right():
    rng = random.Random(5)
    lists, moments = [], []
    for number in range(24):
        base = random_program(number, 1, config=INTEGERS, mode=Mode(number % 2), count=1)
        fields = wild_descriptor(rng, base)
        content = PASS_DESCRIPTOR.pack(1, **fields).tobytes()
        lists += [with_descriptor(base, content), small(number)]
        moments += [ABORT_CYCLE, 0]
    runs = run(INTEGERS, lists, FAULTY, check=False, abort_cycles=moments)
    errors = set()
    for number, (program, done) in enumerate(zip(lists, runs, strict=True)):
        if moments[number]:
            assert done.error is None, f"list {number}: {done.error}"
            errors.add(done.error_code)
        else:
            assert fault_of(program, done, bus_errors=True) is None, number
    assert PassError.ABORTED in errors
