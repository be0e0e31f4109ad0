"""Topology files of SCALE-Sim: what is read of them, and what is refused by its line."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
from hypothesis import given

from gscn.errors import InputError
from gscn.perf.workload.networks import SMALL_NETWORKS, network
from gscn.perf.workload.sparsification import Sparsification, target_densities
from gscn.perf.workload.topology_file import read_topology
from tests.perf.workload.changed_text import changed_texts

HEADER = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter"
STRIDES = f"{HEADER}, Strides,\n"
ROW = "Conv1, 230, 226, 7, 3, 3, 64, 2,\n"


def read(tmp_path, text, batch=4):
    path = tmp_path / "net.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_topology(path, batch=batch)


def topology(net, *, with_padding=False):
    """Return a network as a topology file, whose maps are those with padding or before it."""
    lines = [STRIDES]
    for index, layer in enumerate(net.layers):
        own = layer.shape
        more = 2 * own.padding[0] if with_padding else 0
        sizes = (own.h + more, own.w + more, own.r, own.s, own.c, own.k, own.stride[0])
        lines.append(f"L{index}, {', '.join(map(str, sizes))},\n")
    return "".join(lines)


@pytest.mark.parametrize("with_padding", [False, True])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16", "densenet121", "wrn16-8"])
def test_padding_is_found_whichever_sizes_are_listed(name, with_padding, tmp_path):
    net = network(name, image_size=32 if name in SMALL_NETWORKS else 224, batch=4)
    found = read(tmp_path, topology(net, with_padding=with_padding))
    assert [one.shape for one in found.layers] == [one.shape for one in net.layers]
    assert [one.linear for one in found.layers] == [one.linear for one in net.layers]
    assert [one.first for one in found.layers] == [one.first for one in net.layers]


def test_a_network_without_padding_has_none(tmp_path):
    # A UNet's first stages, whose maps shrink.
    rows = [(572, 1, 64), (570, 64, 64), (284, 64, 128), (282, 128, 128), (140, 128, 256)]
    text = STRIDES + "".join(f"c,{h},{h},3,3,{c},{k},1,\n" for h, c, k in rows)
    found = read(tmp_path, text)
    assert {one.shape.padding for one in found.layers} == {(0, 0)}
    assert [one.shape.h for one in found.layers] == [h for h, _, _ in rows]
    assert found.notes[0].startswith("Sizes of maps are taken as they are, without padding: then 4")


def test_sizes_stand_where_no_reading_explains_them(tmp_path):
    found = read(tmp_path, STRIDES + ROW + "b, 19, 19, 3, 3, 7, 9, 1,\nc, 33, 33, 3, 3, 2, 9, 1,\n")
    assert [(one.shape.h, one.shape.padding) for one in found.layers] == [
        (230, (0, 0)),
        (19, (0, 0)),
        (33, (0, 0)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        STRIDES + ROW,
        f"{HEADER}, Strides\nConv1,230,226,7,3,3,64,2\n",
        f"\ufeff{HEADER}, Strides,\r\n\r\n{ROW}",
        f"# a comment\n\n{STRIDES}\n# another\n{ROW}# the last\n",
        STRIDES + ROW.replace(",\n", ",#stem\n"),
        (STRIDES + ROW).replace(",", "\t"),
        (STRIDES + ROW).replace(",", ";"),
        STRIDES.replace("Layer name", "Layer").replace("IFMAP Height", "IFMAP Width") + ROW,
        STRIDES.lower().replace("num filter", "num filters") + ROW,
        f"{HEADER}, Stride height, Stride width,\n{ROW.replace('2,', '2, 2,')}",
    ],
)
def test_variants_of_the_format_say_the_same(tmp_path, text):
    (layer,) = read(tmp_path, text).layers
    shape = layer.shape
    assert (shape.n, shape.h, shape.w, shape.r, shape.s) == (4, 230, 226, 7, 3)
    assert (shape.c, shape.k, shape.stride, layer.name) == (3, 64, (2, 2), "Conv1")


def test_both_strides_batch_sizes_and_unknown_columns(tmp_path):
    header = f"{HEADER}, Stride height, Stride width, Batch Size, Eh,\n"
    net = read(tmp_path, header + ROW.replace("2,\n", "2, 1, 9, 5,\n"), batch=None)
    assert (net.layers[0].shape.stride, net.layers[0].shape.n) == ((2, 1), 9)
    assert net.notes[-1] == "Column 'Eh' is not read."
    with pytest.raises(InputError, match="must be read without a batch"):
        read(tmp_path, header + ROW.replace("2,\n", "2, 1, 9,\n"))


def test_weights_are_as_dense_as_the_file_says(tmp_path):
    text = f"{HEADER}, Strides, Sparsity,\n{ROW.replace('2,', '2, 1:4,')}b, 9, 9, 3, 3, 3, 4, 1,\n"
    first, second = read(tmp_path, text).layers
    assert (first.weight_density, second.weight_density) == (0.25, None)
    for method in ("dense", "swat"):
        densities = target_densities(first, Sparsification(method=method, sparsity=0.9))
        assert (densities.weights, densities.activations) == (0.25, 1.0)
    assert target_densities(second, Sparsification(method="dense", sparsity=0.9)).weights == 1


def test_products_of_matrices_are_fully_connected_layers(tmp_path):
    net = read(tmp_path, "Layer, M, N, K, Sparsity,\nL0, 196, 192, 384,\nL0, 1, 5, 16, 3:4,\n")
    first, second = net.layers
    assert (first.name, second.name) == ("L0 (line 2)", "L0 (line 3)")
    shape = first.shape
    assert (shape.n, shape.h, shape.w, shape.c, shape.k) == (4, 196, 1, 384, 192)
    assert shape.dense_macs == 4 * 196 * 192 * 384
    assert (first.linear, second.linear, second.weight_density) == (True, True, 0.75)
    assert net.notes == ("Every product of matrices is taken for one with weights.",)


def test_kernels_as_large_as_their_map_are_fully_connected_layers(tmp_path):
    net = read(tmp_path, STRIDES + "a, 14, 14, 3, 3, 3, 8, 1,\nf, 12, 12, 12, 12, 8, 10, 1,\n")
    assert dataclasses.asdict(net.layers[1].shape)["c"] == 8 * 12 * 12
    assert [one.linear for one in net.layers] == [False, True]


def test_depthwise_convolutions_have_a_group_for_each_channel(tmp_path):
    (layer,) = read(tmp_path, STRIDES + "DP1, 9, 9, 3, 3, 8, 1, 1,\n").layers
    assert (layer.shape.groups, layer.shape.c, layer.shape.k) == (8, 8, 8)
    assert layer.shape.dense_macs == 4 * 7 * 7 * 8 * 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: columns must be a layer's name"),
        (STRIDES, "must have 1 to 2000 layers, not 0"),
        ("a, b, c\n", "line 1: columns must be a layer's name"),
        (HEADER + "\n" + ROW, "line 1: columns must be"),
        (STRIDES + "\nConv1, 230, x, 7, 3, 3, 64, 2,\n", "line 3: IFMAP Width must be a whole num"),
        (
            STRIDES + ROW.replace("64", "-64"),
            "line 2: Num Filter must be a whole number, not '-64'",
        ),
        (STRIDES + ROW.replace("64", "6.4"), "line 2: Num Filter must be a whole number"),
        (STRIDES + ROW.replace("64", "\u0664"), "line 2: Num Filter must be a whole number"),
        (STRIDES + ROW.replace("64", "0"), "line 2: Num Filter must be from 1 to 1048576, not 0"),
        (STRIDES + ROW.replace("64", "9" * 5000), "line 2: Num Filter must be a whole number"),
        (STRIDES + "Conv1, 230, 226, 7,\n", "line 2: must have a name and 7 numbers"),
        (STRIDES + ", 230, 226, 7, 3, 3, 64, 2,\n", "line 2: must have a name and 7 numbers"),
        (STRIDES + ROW.replace("7", "231"), "line 2: convolution: kernel 231x3"),
        (f"{HEADER}, Strides, Sparsity\n{ROW}".replace("2,\n", "2, 5:4"), "line 2: Sparsity must"),
        (f"{HEADER}, Strides, Sparsity\n{ROW}".replace("2,\n", "2, 0:4"), "N:M with N of 1 to M"),
        ("Layer, M, N, K\nL, 1, x, 3\n", "line 2: N must be a whole number, not 'x'"),
        (b"\xff\xfe" + STRIDES.encode(), "must be UTF-8 text"),
        (STRIDES + ROW * 2001, "must have 1 to 2000 layers, not 2001"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert "net.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


GOOD = topology(network("resnet20", image_size=32, batch=1)) + "DP, 8, 8, 3, 3, 64, 1, 1,\n"


@given(text=changed_texts(GOOD, "0123456789,:\n\r\t;#\"'- xDP\0"))
def test_changed_files_are_read_or_refused_in_a_sentence(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "changed.csv"
    path.write_text(text)
    # Anything but this error, which is one sentence, is a fault.
    with contextlib.suppress(InputError):
        assert read_topology(path, batch=1).layers
