"""Lists of passes in memory: what the model makes of them, and some of which a bit is wrong."""

from __future__ import annotations

import dataclasses

import numpy as np

from gscn.cosim.scoreboard import stray_bytes
from gscn.emulator.passes import run_passes
from gscn.pass_errors import PassError
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


def damaged_lists(every, seed, count):
    """Return `count` damaged lists, of each of `every` in turn."""
    rng = np.random.default_rng(seed)
    return [damaged(every[number % len(every)], rng, number) for number in range(count)]


def written_ranges(program):
    """Return what the passes of a list in memory may write, as they say themselves."""
    first = program.descriptors_addr
    content = program.image[first : first + program.descriptor_count * DESCRIPTOR_BYTES]
    return [(int(one["out_addr"]), int(one["out_end"])) for one in PASS_DESCRIPTOR.unpack(content)]


def fault_of(program, done, *, bus_errors):
    """Return what the model does not allow in a run of a list, or None.

    Parameters
    ----------
    program
        The list, which may be malformed.
    done
        `cosim.RunResult` of it.
    bus_errors
        Reads beyond memory are errors; else they find ones.
    """
    expected = modelled(program)
    if done.error is not None:
        return done.error
    if stray_bytes(done.written, written_ranges(program)).size:
        return "writes outside of the ranges of its results"
    if expected.error == PassError.NONE:
        if done.error_code != PassError.NONE:
            return f"has error {done.error_code.name}, must have none"
        wrong = np.flatnonzero(done.memory != expected.memory)
        return f"leaves {wrong.size} bytes wrong, from {wrong[0]} on" if wrong.size else None
    possible = expected.possible
    if expected.error == PassError.BUS_READ and not bus_errors:
        possible = frozenset(PassError) - {PassError.NONE}
    if done.error_code not in possible:
        names = sorted(one.name for one in possible)
        return f"has error {done.error_code.name}, must have one of {', '.join(names)}"
    if done.error_pass != expected.error_pass:
        return f"fails in pass {done.error_pass}, must in {expected.error_pass}"
    return None
