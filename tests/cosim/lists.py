"""Lists of passes in memory: what the model makes of them, and some of which a bit is wrong."""

from __future__ import annotations

import dataclasses

from gscn.emulator.passes import run_passes
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR


def modelled(program):
    """Return what the model makes of a program."""
    return run_passes(
        program.config,
        program.image,
        program.descriptors_addr,
        program.descriptor_count,
        program.memory_bytes,
    )


def damaged(program, rng, number):
    """Return a program with a bit of a descriptor, a table or data turned over."""
    image = program.image.copy()
    first = (
        program.descriptors_addr + int(rng.integers(program.descriptor_count)) * DESCRIPTOR_BYTES
    )
    descriptor = PASS_DESCRIPTOR.unpack(image[first : first + DESCRIPTOR_BYTES])[0]
    place = [
        first + rng.integers(160),
        descriptor[rng.choice(["s_table", "t_table"])] + rng.integers(16),
        descriptor[rng.choice(["s_data", "t_data"])] + rng.integers(32),
    ][number % 3]
    image[int(place)] ^= 1 << int(rng.integers(8))
    return dataclasses.replace(program, image=image)


def written_ranges(program):
    """Return what the passes of a list in memory may write, as they say themselves."""
    first = program.descriptors_addr
    content = program.image[first : first + program.descriptor_count * DESCRIPTOR_BYTES]
    return [(int(one["out_addr"]), int(one["out_end"])) for one in PASS_DESCRIPTOR.unpack(content)]
