"""Parts of methods: which layers take part by the rules, and with which draws."""

from __future__ import annotations

import pytest
from torch import nn

from gscn.golden.methods.options import DST, SWAT, Dense, ReSprop, SWATReSprop
from gscn.golden.methods.parts import method_parts


def layers() -> dict[str, nn.Module]:
    return {
        "stem": nn.Conv2d(3, 8, 3),
        "body": nn.Conv2d(8, 8, 3),
        "hidden": nn.Linear(8, 8),
        "head": nn.Linear(8, 4),
    }


OPERANDS, GRADIENTS, MASK = "operand_sparsifier", "gradient_sparsifier", "weight_mask"


@pytest.mark.parametrize(
    ("method", "taking_part"),
    [
        (Dense(), {}),
        (SWAT(), {OPERANDS: ["body", "hidden", "head"]}),
        (SWAT(budget="erk"), {OPERANDS: ["stem", "body", "hidden", "head"]}),
        (SWAT(first_layer="sparse", last_layer="dense"), {OPERANDS: ["stem", "body", "hidden"]}),
        (SWAT(last_layer="dense"), {OPERANDS: ["body", "hidden"]}),
        (ReSprop(), {GRADIENTS: ["stem", "body"]}),
        (ReSprop(linear_layers="sparse"), {GRADIENTS: ["stem", "body", "hidden", "head"]}),
        (SWATReSprop(), {OPERANDS: ["body", "hidden", "head"], GRADIENTS: ["stem", "body"]}),
        (DST(first_layer="dense"), {MASK: ["body", "hidden", "head"]}),
    ],
)
def test_layers_take_part_by_the_rules_of_the_method(method, taking_part):
    parts = method_parts(layers(), method, seed=0)
    assert list(parts) == list(layers())
    found = {
        kind: [name for name, own in parts.items() if kind in own]
        for kind in (OPERANDS, GRADIENTS, MASK)
    }
    assert {kind: names for kind, names in found.items() if names} == taking_part


def test_draws_of_convolutions_do_not_depend_on_linear_layers():
    def seeds(chosen: dict[str, nn.Module], seed: int) -> list[int]:
        parts = method_parts(chosen, ReSprop(linear_layers="sparse"), seed)
        return [own[GRADIENTS].generator.initial_seed() for own in parts.values()]

    every, convolutions = layers(), dict(list(layers().items())[:2])
    assert seeds(every, 3)[:2] == seeds(convolutions, 3)
    assert len({*seeds(every, 3), *seeds(every, 4)}) == 8
