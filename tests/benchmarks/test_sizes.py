"""Each variant of the array has one size changed, and the table has bits and cycles of each."""

from __future__ import annotations

import dataclasses

from benchmarks import sizes
from gscn.array import array
from gscn.perf.estimate.storage import storage


def test_variants_differ_in_one_size():
    base = array("large")
    found = sizes.variants(base)
    assert found.pop(sizes.AS_IT_IS) == base
    assert len(found) >= 10
    for name, config in found.items():
        changed = [
            field.name
            for field in dataclasses.fields(base)
            if getattr(base, field.name) != getattr(config, field.name)
        ]
        assert len(changed) == 1
        assert name == f"`{changed[0]}` {getattr(config, changed[0])}"
    assert {name.split("`")[1] for name in found} == {*sizes.FIELDS, "job_depth"}


def test_cycles_and_bits_are_compared_with_the_array_as_it_is():
    base = array("large")
    (other,) = (
        name for name in sizes.variants(base) if name == f"`acc_depth` {base.acc_depth // 2}"
    )
    measured = ((sizes.AS_IT_IS, base, 1250), (other, sizes.variants(base)[other], 2500))
    rows = [
        {
            "variant": name,
            "memory_bits": str(sizes.memory_bits(config)),
            "products": 64_000,
            "cycles": cycles,
        }
        for name, config, cycles in measured
    ]
    lines = [line.strip("| ").split(" | ") for line in sizes.render(rows).splitlines()]
    assert lines[2][:3] == [sizes.AS_IT_IS, "80.0 %", "+0.0 %"]
    assert lines[3][:3] == [other, "40.0 %", "+100.0 %"]
    bits = sum(one.bits for one in storage(base).values())
    assert sizes.memory_bits(base) == bits
    assert lines[2][3] == f"{bits / 1e6:.2f}"
    assert lines[3][4].startswith("-")
