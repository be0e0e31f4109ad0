"""Networks from files: what is read, and what is refused by name."""

from __future__ import annotations

import json

import pytest
import torch
from torch.nn import functional

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.networks import BATCH
from gscn.perf.workload.flops import erk_layer_densities, flop_reduction
from gscn.perf.workload.network_file import network_table, read_network
from gscn.perf.workload.networks import NETWORKS, network
from gscn.perf.workload.sparsification import LayerDensities, Sparsification, target_densities
from gscn.perf.workload.work import passes


def test_a_network_is_read_from_a_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(
        json.dumps(
            [
                {"name": "a", "c": 3, "h": 8, "w": 9, "k": 4, "r": 3, "s": 3, "padding": [1, 1]},
                {"name": "b", "c": 4, "h": 1, "w": 1, "k": 2, "r": 1, "s": 1, "linear": True},
            ]
        )
    )
    net = read_network(path, batch=5)
    assert net.name == "mine"
    assert [layer.name for layer in net.layers] == ["a", "b"]
    assert net.layers[0].shape.y_shape == (5, 4, 8, 9)
    assert [layer.first for layer in net.layers] == [True, False]
    assert [layer.linear for layer in net.layers] == [False, True]


def test_a_file_has_grouped_transposed_and_token_layers(tmp_path):
    size = {"name": "g", "c": 8, "h": 9, "w": 6, "k": 4, "r": 3, "s": 2}
    up = size | {
        "name": "up", "transposed": True, "groups": 2, "stride": [2, 3], "padding": [1, 0],
        "dilation": [2, 1], "output_padding": [1, 2],
    }  # fmt: skip
    tokens = {"name": "t", "c": 8, "h": 35, "w": 1, "k": 4, "r": 1, "s": 1, "linear": True}
    net = read(tmp_path, size | {"groups": 4}, up, tokens)
    grouped, transposed, linear = (layer.shape for layer in net.layers)
    assert [layer.transposed for layer in net.layers] == [False, True, False]
    assert grouped.w_shape == (4, 2, 3, 2)
    inputs, weights = torch.zeros(2, 8, 9, 6), torch.zeros(8, 2, 3, 2)
    outputs = functional.conv_transpose2d(inputs, weights, None, (2, 3), (1, 0), (1, 2), 2, (2, 1))
    assert transposed.x_shape == outputs.shape
    assert (transposed.w_shape, transposed.y_shape) == (weights.shape, inputs.shape)
    assert (linear.n, linear.dense_macs) == (2, 2 * 35 * 32)


LAYER = {"name": "a", "c": 3, "h": 8, "w": 8, "k": 4, "r": 3, "s": 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "must be readable JSON"),
        ("[]", "a list of 1 to 2000 layers"),
        ('["a"]', "layer 0: must be an object"),
        (json.dumps([{"name": "a"}]), "c is missing; h is missing"),
        (json.dumps([LAYER | {"chanels": 3}]), "unknown field 'chanels'"),
        (json.dumps([LAYER | {"c": "3"}]), "c must be a whole number, not '3'"),
        (json.dumps([LAYER | {"c": True}]), "c must be a whole number, not True"),
        (json.dumps([LAYER | {"stride": 2}]), "stride must be a pair of whole numbers, not 2"),
        (json.dumps([LAYER | {"stride": [0, 1]}]), "stride must be two numbers of at least 1"),
        (json.dumps([LAYER | {"r": 9}]), "must fit the padded input"),
        (json.dumps([LAYER | {"linear": True}]), "(a): a linear layer must have r and s of 1"),
        (json.dumps([LAYER | {"groups": 2}]), "(a): convolution: groups must divide both c (3)"),
        (json.dumps([LAYER | {"groups": "2"}]), "groups must be a whole number, not '2'"),
        (json.dumps([LAYER | {"output_padding": [1, 1]}]), "of a transposed layer alone"),
        (
            json.dumps([LAYER | {"transposed": True, "output_padding": [1, 1]}]),
            "output_padding must be two numbers, each less than the stride (1, 1), not (1, 1)",
        ),
        (json.dumps([LAYER | {"transposed": 1}]), "transposed must be true or false, not 1"),
        (json.dumps([LAYER, LAYER]), "names of layers must differ, not repeat a"),
    ],
)
def test_a_bad_network_file_is_refused_by_name(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"bad\.json") as caught:
        read_network(path, batch=1)
    assert message in str(caught.value)


def test_a_missing_network_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"absent\.json must be a readable file"):
        read_network(tmp_path / "absent.json", batch=1)


CONV = {"name": "a", "c": 3, "h": 8, "w": 8, "k": 3, "r": 3, "s": 3, "padding": [1, 1]}
FC = {"name": "fc", "c": 192, "h": 1, "w": 1, "k": 10, "r": 1, "s": 1, "linear": True}


def read(tmp_path, *layers, name="vgg16.json"):
    path = tmp_path / name
    path.write_text(json.dumps(layers))
    return read_network(path, batch=2)


def test_a_file_says_what_is_normalised_whatever_it_is_called(tmp_path):
    layers = (CONV, CONV | {"name": "b", "normalised": False}, FC)
    for name in ("vgg16.json", "mine.json"):
        found = read(tmp_path, *layers, name=name).layers
        assert [layer.normalised for layer in found] == [None, False, None]
        assert [layer.has_normalisation for layer in found] == [True, False, False]
    (layer,) = read(tmp_path, FC | {"normalised": True}).layers
    assert layer.has_normalisation


def test_a_file_says_which_layers_share_weights_and_read_the_image(tmp_path):
    again = CONV | {"name": "again", "shares": "a"}
    side = CONV | {"name": "side", "input_grad": False}
    net = read(tmp_path, CONV, again, side, FC)
    assert [layer.shares for layer in net.layers] == [None, "a", None, None]
    assert [layer.first for layer in net.layers] == [True, True, False, False]
    assert [Pass.INPUT_GRAD in passes(layer) for layer in net.layers] == [False, True, False, True]
    assert (net.omitted, net.covered_share) == (None, None)
    # Weights are counted once by the budget, and the first layer's are dense in both calls.
    densities = erk_layer_densities(net, 0.5)
    assert densities["a"] == densities["again"]
    assert densities["a"] == erk_layer_densities(read(tmp_path, CONV, side, FC), 0.5)["a"]
    swat = Sparsification(method="swat", sparsity=0.9)
    assert [target_densities(layer, swat).weights for layer in net.layers] == pytest.approx(
        [1, 1, 0.1, 0.1]
    )
    # Densities that were measured for a layer are those of all its calls.
    only = flop_reduction(net, {"a": LayerDensities(weights=0.5)}, forward_only=True)
    conv, fc = 2 * 64 * 81, 2 * 1920
    assert only == pytest.approx(conv / (3 * conv + fc))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ((CONV | {"normalised": 1},), "normalised must be true or false, not 1"),
        ((CONV | {"input_grad": "no"},), "input_grad must be true or false, not 'no'"),
        ((CONV | {"shares": 3},), "shares must be the name of a layer, not 3"),
        ((CONV | {"shares": "a"},), "shares of a must name a layer before it"),
        ((CONV, CONV | {"name": "b", "shares": "c"}), "shares of b must name a layer before it"),
        (
            (CONV, CONV | {"name": "b", "k": 4, "shares": "a"}),
            r"weights of b must be those of a, of shape \(3, 3, 3, 3\), not \(4, 3, 3, 3\)",
        ),
    ],
)
def test_bad_fields_of_a_file_are_named(layers, message, tmp_path):
    with pytest.raises(InputError, match=message):
        read(tmp_path, *layers)


SMALL = {"name": "a", "c": 1, "h": 9, "w": 9, "k": 1, "r": 3, "s": 3}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (json.dumps([SMALL] * 2001), "a list of 1 to 2000 layers"),
        (json.dumps([{**SMALL, "name": f"{n % 1999}"} for n in range(2000)]), "not repeat 0$"),
        ("[" * 200_000, "nesting must be at most 64"),
        (json.dumps([{**SMALL, "c": 1 << 21}]), "c must be at most 1048576, not 2097152"),
        (json.dumps([{**SMALL, "c": True}]), "c must be a whole number, not True"),
        (json.dumps([SMALL])[:-2] + ', "c": 2}]', "not twice: 'c'"),
    ],
)
def test_a_network_file_beyond_bounds_is_refused_at_once(tmp_path, content, complaint):
    path = tmp_path / "network"
    path.write_text(content)
    with pytest.raises(InputError, match=rf"network.*{complaint}") as caught:
        read_network(path, batch=1)
    assert len(str(caught.value)) < 1000


TRANSPOSED = {
    "name": "up", "c": 8, "h": 7, "w": 5, "k": 4, "r": 3, "s": 3, "stride": [2, 1],
    "padding": [1, 1], "output_padding": [1, 0], "transposed": True,
}  # fmt: skip
OMITTED = {"name": "attention", "kind": "bmm in Attention", "macs": 12, "share": 0.25}
EVERYTHING = {
    "name": "own",
    "batch": 6,
    "layers": [
        CONV | {"normalised": True, "weight_density": 0.5},
        CONV | {"name": "b", "c": 4, "k": 8, "groups": 2, "stride": [2, 1], "dilation": [1, 2]},
        TRANSPOSED | {"normalised": False},
        CONV | {"name": "a#2", "shares": "a", "input_grad": True},
        FC | {"h": 3, "normalised": False},
        FC | {"name": "table", "n": 49, "input_grad": False},
    ],
    "omitted": [OMITTED],
    "notes": ["Said.", "Said too."],
}


def test_an_object_says_more_than_a_list(tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(EVERYTHING))
    net = read_network(path)
    assert (net.name, net.notes, net.covered_share) == ("own", ("Said.", "Said too."), 0.75)
    assert [layer.shape.n for layer in net.layers] == [6, 6, 6, 6, 6, 49]
    assert [layer.weight_density for layer in net.layers] == [0.5, *[None] * 5]
    assert network_table(net)["layers"][2] == TRANSPOSED | {"normalised": False}


def test_a_table_is_read_as_the_network_that_it_is_of(tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(EVERYTHING))
    known = [network(name, image_size=64, batch=3) for name in NETWORKS]
    for net in (read_network(path), *known):
        table = json.dumps(network_table(net))
        path.write_text(table)
        assert read_network(path) == net
        assert json.dumps(network_table(read_network(path))) == table


def test_another_batch_is_refused_where_layers_have_samples_of_their_own(tmp_path):
    path = tmp_path / "net.json"
    path.write_text(json.dumps(EVERYTHING))
    assert read_network(path, batch=6) == read_network(path)
    with pytest.raises(InputError, match="must be read with its batch of 6"):
        read_network(path, batch=8)
    path.write_text(json.dumps(EVERYTHING | {"layers": EVERYTHING["layers"][:-1]}))
    assert {layer.shape.n for layer in read_network(path, batch=8).layers} == {8}
    path.write_text(json.dumps([CONV]))
    assert read_network(path).layers[0].shape.n == BATCH


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch": 0}, "batch must be from 1 to 1048576, not 0"),
        ({"batch": "2"}, "batch must be from 1 to 1048576, not '2'"),
        ({"name": 3}, "name must be text, not 3"),
        ({"notes": "said"}, "notes must be a list of texts, not 'said'"),
        ({"omitted": 3}, "omitted must be a list, not 3"),
        ({"omitted": [OMITTED | {"macs": -1}]}, "omitted macs must be a whole number of at least"),
        ({"omitted": [{}]}, "omitted must have name, kind, macs and share"),
        ({"layer": []}, "unknown field 'layer'"),
        ({"layers": {}}, "must hold a list of 1 to 2000 layers"),
        ({"layers": ["n"], "batch": 2}, "layer 0: must be an object"),
        ({"layers": [CONV | {"n": 0}]}, r"\(a\): convolution: n must be at least 1, not 0"),
        ({"layers": [CONV | {"n": 1.5}]}, "n must be a whole number, not 1.5"),
        ({"layers": [CONV | {"weight_density": 0}]}, "weight_density must be over 0 and at most 1"),
        ({"layers": [CONV | {"weight_density": "x"}]}, "at most 1, not 'x'"),
    ],
)
def test_bad_fields_of_a_table_are_named(fields, message, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(EVERYTHING | fields))
    with pytest.raises(InputError, match=message):
        read_network(path)
    path.write_text(json.dumps({"name": "own"}))
    with pytest.raises(InputError, match="a list of layers, or an object that has one"):
        read_network(path)
