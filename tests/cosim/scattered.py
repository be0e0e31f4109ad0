"""Lists of passes whose parts lie anywhere in the address space, behind a memory of regions."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from gscn.cosim.simulation import Region
from gscn.emulator.pass_checks import (
    check_descriptor,
    operand_ranges,
    pass_fields,
    result_bytes,
    results_extent,
)
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, HALFWORD_BYTES, PASS_DESCRIPTOR, VECTOR, Mode
from gscn.port import ALIGNMENT_BYTES

PAGE = 4096
"""No burst crosses a multiple of it: parts moved by such take the same bursts."""
OPERANDS = ("s_data", "s_table", "t_data", "t_table")
SPARED_BITS = 5
"""Upper bits of addresses that are 0 where all begins before what is long."""
TRIES = 10_000
"""Of places for one pass."""
LOOPS = {
    Mode.KERNEL: (
        ("cols", "pixel_bytes"), ("rows", "row_bytes"), ("samples", "sample_bytes"),
        ("s_tiles", "s_tile_bytes"),
    ),
    Mode.CORRELATE: (("t_tiles", "t_tile_bytes"), ("s_tiles", "s_tile_bytes")),
}  # fmt: skip
"""Count and step in bytes of the results of a pass."""


def _fields(program, number):
    first = program.descriptors_addr + number * DESCRIPTOR_BYTES
    content = program.image[first : first + DESCRIPTOR_BYTES]
    return pass_fields(PASS_DESCRIPTOR.unpack(content)[0])._asdict()


def _checked(f):
    """Return fields as the checks take them."""
    return pass_fields(PASS_DESCRIPTOR.pack(1, **f)[0])


def _moved(rng, addr, space):
    """Return an address anywhere that lies as another one within a page."""
    return rng.randrange(space // PAGE) * PAGE + addr % PAGE


def _far_apart(rng, f, space):
    """Return steps by which no result touches another one; any step of what is there once."""
    width = result_bytes(_checked(f))
    grain, extent, steps = min(ALIGNMENT_BYTES, VECTOR * width), f["run"] * width, {}
    loops = list(LOOPS[Mode(f["mode"])])
    rng.shuffle(loops)
    for count, step in loops:
        most = np.iinfo(PASS_DESCRIPTOR.dtype.fields[step][0]).max
        if f[count] > 1:
            room = min(most, (space - extent) // (f[count] - 1))
            # one grain at least is between; small steps are as likely as large ones
            low = extent + grain
            bits = rng.uniform(low.bit_length(), max(low, room).bit_length())
            steps[step] = min(max(low, int(2**bits)), room) // grain * grain
            extent += (f[count] - 1) * steps[step]
        else:
            steps[step] = rng.randint(0, most) // grain * grain
    return steps


def _results(f):
    """Return the addresses of a pass's runs of results, in the same order whatever the steps."""
    loops = [[n * f[step] for n in range(f[count])] for count, step in LOOPS[Mode(f["mode"])]]
    return [f["out_addr"] + sum(one) for one in itertools.product(*loops)]


def _regions(before, after, *, apart):
    """Return where the parts of a pass lie."""
    d = _checked(before)
    found = [
        Region(after[name], first, -(-(end - first) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES)
        for name, (first, end) in zip(OPERANDS, operand_ranges(d), strict=True)
    ]
    if apart:
        size = before["run"] * result_bytes(d)
        pairs = zip(_results(after), _results(before), strict=True)
        return found + [Region(addr, place, size) for addr, place in pairs]
    size = before["out_end"] - before["out_addr"]
    return [*found, Region(after["out_addr"], before["out_addr"], size)]


def _overlap(regions):
    ordered = sorted((one.addr, one.addr + one.bytes) for one in regions)
    return any(end > begin for (_, end), (begin, _) in itertools.pairwise(ordered))


def _tried(rng, f, space, *, apart, longest):
    """Return fields with other places and sizes, right or not."""
    room = space >> SPARED_BITS if longest else space
    tried = f | {name: _moved(rng, f[name], room) for name in (*OPERANDS, "out_addr")}
    if apart:
        tried |= _far_apart(rng, f, 1 << rng.randint(16, space.bit_length() - 1))
    extent = results_extent(_checked(tried))
    tried["out_end"] = tried["out_addr"] + (extent or 0)
    for part in "st":
        # more than there is, up to the end of all addresses
        spare = (space - tried[f"{part}_data"]) // HALFWORD_BYTES - f[f"{part}_halfwords"]
        if spare > 0 and (longest or rng.random() < 0.5):
            share = 1 if longest else rng.random() ** 4
            tried[f"{part}_halfwords"] += int(share * (spare - 1))
    return tried


def scattered(program, rng, *, apart=False, longest=False):
    """Return a list with its parts anywhere else in the address space, and their regions.

    Parameters
    ----------
    program
        A list without errors.
    rng
        Chooses the places.
    apart
        Whether every run of results lies by itself, as far from the others as there is room;
        otherwise all of a pass lie as they did, and every part as it did within a page.
    longest
        Whether the operands seem to end where all addresses do; then all else is before them.
    """
    config, image = program.config, program.image.copy()
    space = 1 << config.addr_width
    count = program.descriptor_count
    first, size = program.descriptors_addr, count * DESCRIPTOR_BYTES
    addr = _moved(rng, first, (space >> 2 * SPARED_BITS if longest else space) - PAGE - size)
    listed, regions = (addr, addr + size), [Region(addr, first, size)]
    for number in range(count):
        before = _fields(program, number)
        for _ in range(TRIES):
            after = _tried(rng, before, space, apart=apart, longest=longest)
            own = _regions(before, after, apart=apart)
            wrong = check_descriptor(_checked(after), config, listed)
            if wrong == PassError.NONE and not _overlap(regions + own):
                break
        else:
            raise AssertionError(f"pass {number} must find a place in {TRIES} tries")
        regions += own
        content = PASS_DESCRIPTOR.pack(1, **after).view(np.uint8)
        at = first + number * DESCRIPTOR_BYTES
        image[at : at + DESCRIPTOR_BYTES] = content
    return dataclasses.replace(program, image=image), regions
