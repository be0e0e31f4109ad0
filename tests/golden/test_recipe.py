"""Recipes: options belong to methods, numbers of numpy are numbers, every problem is named."""

from __future__ import annotations

import re

import numpy as np
import pytest
from torch import nn

from gscn import golden
from gscn.errors import InputError
from gscn.golden.recipe import METHODS, Recipe
from gscn.golden.training.converted_network import build_network
from gscn.golden.training.training import Trainer

EVERY_OPTION = {
    "sparsity": 0.5,
    "budget": "erk",
    "structure": "kernel",
    "refresh_period": 3,
    "warm_up": True,
    "first_conv": "sparse",
    "dst_alpha": 1e-4,
}


@pytest.mark.parametrize("method", METHODS)
def test_options_that_a_method_does_not_have_are_refused_by_name(method):
    owned = {
        "dense": [],
        "swat": ["sparsity", "budget", "structure", "refresh_period", "first_conv"],
        "resprop": ["sparsity", "warm_up", "first_conv"],
        "dst": ["first_conv", "dst_alpha"],
    }
    named = re.escape(method)
    owned["swat+resprop"] = [*owned["swat"], *owned["resprop"]]
    for name, value in EVERY_OPTION.items():
        if name in owned[method]:
            assert getattr(Recipe(method=method, **{name: value}), name) == value
            assert getattr(Recipe(method=method), name) is not None
            continue
        assert getattr(Recipe(method=method), name) is None
        with pytest.raises(InputError, match=f"{name} is no option of the method {named}, which"):
            Recipe(method=method, **{name: value})
        if name != "dst_alpha":
            with pytest.raises(InputError, match=f"{name} is no option of the method {named}, w"):
                build_network(method, **{name: value})
        with pytest.raises(InputError, match=f"option of {named} must be one of .* not "):
            golden.sparsify(
                nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)),
                method,
                **{{"first_conv": "first_conv_rule"}.get(name, name): value},
            )


def test_numbers_of_a_recipe_may_be_those_of_numpy():
    recipe = Recipe(method="swat", sparsity=np.float32(0.9), seed=np.int64(3), epochs=np.uint8(2))
    assert recipe == Recipe(method="swat", sparsity=0.9, seed=3, epochs=2)
    with pytest.raises(InputError, match=r"epochs must be a whole number of at least 1, not 1\.5"):
        Recipe(epochs=1.5)
    with pytest.raises(InputError, match="augment must be True or False, not 'yes'"):
        Recipe(augment="yes")
    with pytest.raises(InputError, match=r"width is for the networks resnet18, .*, not for digits"):
        Recipe(width=8)


def test_recipe_names_every_problem_at_once():
    with pytest.raises(InputError, match=r"sparsity must be .*; epochs must be .*; seed must be"):
        Recipe(sparsity=1.0, epochs=0, seed=-1)
    with pytest.raises(InputError, match="batch_size must be at most the 1348 training images"):
        Trainer(Recipe(batch_size=2000))
