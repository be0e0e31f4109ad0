"""Networks as layers: what a module's layers become, and what is said where nobody said it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.golden.omitted import Omitted
from gscn.perf.workload.layers import Layer, Network, network_of

SHAPE = ConvShape(n=2, c=3, h=8, w=8, k=3, r=3, s=3, padding=(1, 1))


@dataclass(frozen=True, kw_only=True)
class Found:
    name: str
    shape: ConvShape = SHAPE
    linear: bool = False
    transposed: bool = False
    normalised: bool = True
    input_grad: bool = True
    shares: str | None = None


@dataclass(frozen=True, kw_only=True)
class Surveyed:
    layers: list[Found]
    omitted: list[Omitted] = field(default_factory=list)


def test_layers_of_a_module_are_taken_over_and_the_first_is_first_in_every_call():
    stem = Found(name="stem", input_grad=False)
    net = network_of("own", Surveyed(layers=[stem, Found(name="stem#2", shares="stem")]))
    assert [layer.first for layer in net.layers] == [True, True]
    assert [layer.reads_image for layer in net.layers] == [True, False]
    assert [layer.shares for layer in net.layers] == [None, "stem"]
    assert net.dense_macs == 2 * SHAPE.dense_macs
    assert (net.omitted, net.covered_share) == ((), 1)


def test_a_transposed_layer_runs_what_it_transposes():
    found = [Found(name="up", transposed=True), Found(name="down")]
    up, down = network_of("own", Surveyed(layers=found)).layers
    assert [up.runs_as(which) for which in Pass] == [
        Pass.INPUT_GRAD, Pass.FORWARD, Pass.WEIGHT_GRAD
    ]  # fmt: skip
    assert [down.runs_as(which) for which in Pass] == list(Pass)


def test_a_module_without_layers_is_refused_with_what_it_computes():
    product = Omitted(name="mix", kind="mm in Mix", macs=8, share=1.0)
    with pytest.raises(InputError, match=r"network own must compute at least one layer, not .*mix"):
        network_of("own", Surveyed(layers=[], omitted=[product]))
    with pytest.raises(InputError, match="at least one layer, not nothing"):
        network_of("own", Surveyed(layers=[]))


def test_what_nobody_said_follows_from_the_kind_of_layer():
    first, other = Layer(name="a", shape=SHAPE, first=True), Layer(name="b", shape=SHAPE)
    assert (first.reads_image, other.reads_image) == (True, False)
    assert other.has_normalisation
    assert not Layer(name="c", shape=SHAPE, linear=True).has_normalisation
    assert Network(name="own", layers=(first, other)).covered_share is None
