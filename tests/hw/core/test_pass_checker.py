# amaranth: UnusedElaboratable=no
"""A descriptor's first error is that of the model."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from gscn.emulator.pass_checks import check_descriptor, pass_fields
from gscn.hw.core.pass_checker import PassChecker
from gscn.pass_errors import PassError
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from tests.hw.streams import reused, simulate
from tests.pass_programs import TINY, random_program


def descriptors(program):
    first, count = program.descriptors_addr, program.count
    content = program.image[first : first + count * DESCRIPTOR_BYTES]
    return list(PASS_DESCRIPTOR.unpack(content)), (first, first + count * DESCRIPTOR_BYTES)


def changed(generator, descriptor):
    """Return a descriptor with one field changed, often just a little."""
    other = descriptor.copy()
    field = generator.choice(
        [f for f in PASS_DESCRIPTOR.fields if not f.name.startswith("reserved")]
    )
    low, high = (-(1 << field.width - 1), (1 << field.width - 1) - 1) if field.signed else (
        0, (1 << field.width) - 1)  # fmt: skip
    old = int(descriptor[field.name])
    new = generator.choice(
        [old + 1, old - 1, old * 2, old + 16, old + 32, old - 64, old + 64, 0, 1, high, low,
         generator.randint(low, high), 1 << generator.randint(0, field.width - 1)]
    )  # fmt: skip
    other[field.name] = min(max(new, low), high)
    return other


def check(cases, config):
    """Return the errors found of (descriptor, list range)."""
    checker = reused(PassChecker, config=config)
    found = []

    async def bench(ctx):
        for descriptor, (begin, end) in cases:
            fields = {f.name: int(descriptor[f.name]) for f in PASS_DESCRIPTOR.fields}
            ctx.set(checker.forget, 1)
            await ctx.tick()
            ctx.set(checker.forget, 0)
            assert not ctx.get(checker.checked)
            ctx.set(checker.start, 1)
            await ctx.tick()
            ctx.set(checker.start, 0)
            ctx.set(checker.d, fields)
            ctx.set(checker.list_range, {"begin": begin, "end": end})
            while not ctx.get(checker.checked):
                await ctx.tick()
            found.append(PassError(ctx.get(checker.error)))

    simulate(checker, bench, cycles=1000 * len(cases))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_first_errors_are_those_of_the_model(seed):
    generator = random.Random(seed)
    cases = []
    for number in range(12):
        every, place = descriptors(random_program(100 * seed + number, 1))
        for descriptor in every:
            cases.append((descriptor, place))
            cases += [(changed(generator, descriptor), place) for _ in range(8)]
            twice = changed(generator, changed(generator, descriptor))
            cases.append((twice, place))
    found = check(cases, TINY)
    for (descriptor, place), code in zip(cases, found, strict=True):
        expected = check_descriptor(pass_fields(descriptor), TINY, place)
        assert code == expected, PASS_DESCRIPTOR.dtype.names and dict(
            zip(PASS_DESCRIPTOR.dtype.names, descriptor.item(), strict=True)
        )
    assert len(Counter(found)) > 8
