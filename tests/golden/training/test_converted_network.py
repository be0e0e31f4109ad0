"""Conversion of whole networks: equal starts, the rules, options, what is not supported."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import nn

from gscn.errors import InputError
from gscn.golden.methods.layers import TrainingLayer
from gscn.golden.methods.resprop import GradientReuse
from gscn.golden.methods.swat import TopK
from gscn.golden.recipe import METHODS
from gscn.golden.training.converted_network import build_network, conv_layers, convert


def test_methods_start_from_equal_parameters():
    dense, *others = (build_network(method, seed=3) for method in METHODS)
    for network in others:
        own = dict(network.named_parameters())
        for name, parameter in dense.named_parameters():
            assert torch.equal(own.pop(name), parameter)
        # DST has a threshold for every filter besides.
        assert all("weight_mask" in name for name in own)


def kind(layer: TrainingLayer) -> str:
    parts = (layer.gscn.operand_sparsifier, layer.gscn.gradient_sparsifier)
    types = [{TopK: "swat", GradientReuse: "resprop"}[type(p)] for p in parts if p is not None]
    return "+".join(types) or "dense"


@pytest.mark.parametrize(
    ("method", "first_conv", "first", "others"),
    [
        ("dense", None, "dense", "dense"),
        ("swat", "paper", "dense", "swat"),
        ("swat", "sparse", "swat", "swat"),
        ("resprop", "paper", "resprop", "resprop"),
        ("resprop", "dense", "dense", "resprop"),
        ("swat+resprop", "paper", "resprop", "swat+resprop"),
        ("swat+resprop", "sparse", "swat+resprop", "swat+resprop"),
        ("swat+resprop", "dense", "dense", "swat+resprop"),
    ],
)
def test_conversion_follows_method_and_first_conv_rule(method, first_conv, first, others):
    network = build_network(method, first_conv=first_conv)
    kinds = [kind(conv) for conv in conv_layers(network).values()]
    assert len(kinds) == 10
    assert kinds == [first] + [others] * 9
    assert kind(network.classifier) == ("swat" if "swat" in method else "dense")


def test_layers_of_a_network_draw_from_generators_of_their_own():
    network = build_network("resprop", seed=1)
    seeds = {m.generator.initial_seed() for m in network.modules() if isinstance(m, GradientReuse)}
    assert len(seeds) == 10


def test_conversion_names_the_layer_that_is_not_supported():
    network = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Conv2d(2, 2, 1, groups=2))
    assert len(conv_layers(convert(network, "dense"))) == 2
    network.append(nn.Conv2d(2, 2, 3, padding="same"))
    with pytest.raises(InputError, match=r"layer 2: padding must be a number .*, not 'same'"):
        convert(network, "dense")
    reflecting = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"))
    with pytest.raises(InputError, match=r"layer 0: padding mode must be 'zeros', not 'reflect'"):
        convert(reflecting, "swat")
    with pytest.raises(InputError, match=r"method must be one of dense, .*, not 'magic'"):
        convert(network, "magic")
    with pytest.raises(InputError, match=r"first_conv must be one of paper, .*, not 'last'"):
        convert(network, "dense", first_conv="last")
    with pytest.raises(InputError, match=r"option must be one of sparsity, .*, not colour"):
        convert(network, "dense", colour=3)
    with pytest.raises(InputError, match="ReSprop: sparsity must be"):
        convert(nn.Sequential(nn.Conv2d(2, 2, 1)), "resprop", sparsity=1.0)


def test_options_reach_the_layers():
    network = build_network("swat+resprop", sparsity=0.7, refresh_period=5, warm_up=True)
    reuses = [m for m in network.modules() if isinstance(m, GradientReuse)]
    assert {(reuse.sparsity, reuse.warm_up) for reuse in reuses} == {(0.7, True)}
    found = {m.refresh_period for m in network.modules() if isinstance(m, TopK)}
    assert found == {1, 5}
    assert network.classifier.gscn.operand_sparsifier.refresh_period == 1
    assert {m.density for m in network.modules() if isinstance(m, TopK)} == {Fraction("0.3")}
