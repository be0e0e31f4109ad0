# amaranth: UnusedElaboratable=no
"""The time of a descriptor's checks equals the hardware's."""

from __future__ import annotations

import random

from gscn.cycles.core.pass_checker import check_cycles
from gscn.hw.core.pass_checker import PassChecker
from gscn.passes import DESCRIPTOR_BYTES, PASS_DESCRIPTOR
from tests.hw.streams import reused, simulate
from tests.pass_programs import TINY, random_program

FACTORS = ("samples", "s_groups", "t_groups", "s_chunks", "cols", "rows")
"""Fields of 16 bits."""


def test_checks_take_the_cycles_of_the_hardware():
    checker = reused(PassChecker, config=TINY)
    generator, cases = random.Random(0), []
    for seed in range(12):
        program = random_program(seed, 1)
        first, size = program.descriptors_addr, program.count * DESCRIPTOR_BYTES
        for one in PASS_DESCRIPTOR.unpack(program.image[first : first + size]):
            fields = {f.name: int(one[f.name]) for f in PASS_DESCRIPTOR.fields}
            # checks of what is wrong go on to the end as well
            counts = {name: generator.getrandbits(generator.randint(1, 16)) for name in FACTORS}
            cases += [fields, fields | counts]
    found = []

    async def bench(ctx):
        for fields in cases:
            ctx.set(checker.forget, 1)
            await ctx.tick()
            ctx.set(checker.forget, 0)
            ctx.set(checker.start, 1)
            await ctx.tick()
            ctx.set(checker.start, 0)
            ctx.set(checker.d, fields)
            cycles = 1
            while not ctx.get(checker.checked):
                await ctx.tick()
                cycles += 1
            found.append(cycles)

    simulate(checker, bench, cycles=1000 * len(cases))
    assert found == [check_cycles(fields) for fields in cases]
    assert len(set(found)) > 4
