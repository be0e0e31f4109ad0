"""Networks from ONNX files: graphs by hand, what is in no layer, what is refused by its node."""

from __future__ import annotations

import builtins
import contextlib

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gscn.conv import ConvShape
from gscn.errors import InputError
from gscn.golden.networks import BATCH
from gscn.perf.workload.onnx_file import read_onnx


def weights(name, *sizes):
    return helper.make_tensor(name, TensorProto.FLOAT, sizes, b"\0" * 4 * prod(sizes), raw=True)


def prod(sizes):
    total = 1
    for size in sizes:
        total *= size
    return total


def image(*sizes, name="x"):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)


def model(nodes, inputs, held, result="y", **others):
    outputs = [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, held)
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("com.own", 1)]
    return helper.make_model(graph, opset_imports=imports, **others)


def read(tmp_path, made, **options):
    path = tmp_path / "net.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    return read_onnx(path, **options)


def node(kind, inputs, outputs, **fields):
    return helper.make_node(kind, inputs.split(), outputs.split(), **fields)


def conv(batch="N", height=8, kernel=(4, 3, 3, 3), **fields):
    return model(
        [node("Conv", "x w", "y", name="stem", **fields)],
        [image(batch, 3, height, 9)],
        [weights("w", *kernel)],
    )


def shape(**sizes):
    return ConvShape(**{"n": BATCH, "c": 3, "h": 8, "w": 9, "k": 4, "r": 3, "s": 3} | sizes)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"pads": [1, 2, 1, 2]}, {"padding": (1, 2)}),
        ({"strides": [2, 1], "dilations": [1, 2]}, {"stride": (2, 1), "dilation": (1, 2)}),
        # Uneven padding is a part of the map, as that of TensorFlow.
        ({"pads": [0, 0, 1, 1]}, {"h": 9, "w": 10}),
        ({"auto_pad": "SAME_UPPER"}, {"padding": (1, 1)}),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"h": 9, "w": 11, "stride": (2, 2)}),
        ({"auto_pad": "VALID"}, {}),
    ],
)
def test_a_convolution_is_a_layer(tmp_path, fields, expected):
    (layer,) = read(tmp_path, conv(**fields)).layers
    assert layer.shape == shape(**expected)
    assert (layer.name, layer.first, layer.linear, layer.input_grad) == ("stem", True, False, False)


def test_groups_one_dimension_and_transposed_ones_are_layers(tmp_path):
    nodes = [
        node("Conv", "x dw.weight", "a", group=3, pads=[1, 1, 1, 1]),
        node("ConvTranspose", "a up.weight", "b", strides=[2, 2], pads=[1, 1, 1, 1],
             output_padding=[1, 1]),
        node("Reshape", "b rows", "c"),
        node("Conv", "c row.weight", "y"),
    ]  # fmt: skip
    rows = helper.make_tensor("rows", TensorProto.INT64, [3], [0, 5, -1])
    held = [weights("dw.weight", 6, 1, 3, 3), weights("up.weight", 6, 5, 3, 3)]
    held += [weights("row.weight", 2, 5, 3), rows]
    net = read(tmp_path, model(nodes, [image(2, 3, 8, 9)], held))
    assert [one.name for one in net.layers] == ["dw", "up", "row"]
    assert net.layers[0].shape == shape(n=2, k=6, groups=3, padding=(1, 1))
    pairs = {"stride": (2, 2), "padding": (1, 1), "output_padding": (1, 1)}
    assert net.layers[1].shape == ConvShape.of_transposed(
        n=2, c=6, h=8, w=9, k=5, r=3, s=3, **pairs
    )
    assert net.layers[2].shape == ConvShape(n=2, c=5, h=16 * 18, w=1, k=2, r=3, s=1)
    assert [one.transposed for one in net.layers] == [False, True, False]
    assert [one.input_grad for one in net.layers] == [False, True, True]
    assert net.omitted == ()


def attention():
    """A block of one head over tokens: projections, attention's products, a table by another."""
    nodes = [
        node("MatMul", "x wq", "q", name="/q/MatMul"),
        node("MatMul", "x wk", "k"),
        node("Transpose", "k", "kt", perm=[0, 2, 1]),
        node("MatMul", "q kt", "scores", name="/scores/MatMul"),
        node("Softmax", "scores", "soft"),
        node("MatMul", "soft x", "mixed"),
        node("LayerNormalization", "mixed scale", "norm"),
        node("Gemm", "row wk", "table", transB=1),
        node("MatMul", "norm wk", "again"),
        node("Einsum", "again norm", "y", equation="bij,bkj->bik", name="mix"),
    ]
    held = [weights(name, 8, 8) for name in ("wq", "wk")]
    return model(nodes, [image(2, 5, 8)], [*held, weights("row", 1, 8), weights("scale", 8)])


def test_tokens_are_rows_and_products_of_computed_tensors_are_omitted(tmp_path):
    net = read(tmp_path, attention())
    tokens = ConvShape(n=2, c=8, h=5, w=1, k=8, r=1, s=1)
    assert [(one.name, one.shape, one.shares) for one in net.layers] == [
        ("/q/MatMul", tokens, None),
        ("MatMul", tokens, None),
        ("MatMul#3", tokens, "MatMul"),
    ]
    assert all(one.linear for one in net.layers)
    assert [one.normalised for one in net.layers] == [False, False, True]
    assert [(one.name, one.macs) for one in net.omitted[:2]] == [
        ("/scores/MatMul", 2 * 5 * 5 * 8),
        ("MatMul#2", 2 * 5 * 5 * 8),
    ]
    assert net.omitted[2].kind == "products of Einsum"
    assert (net.omitted[2].macs, net.omitted[2].share) == (None, None)
    assert net.covered_share == pytest.approx(1920 / (1920 + 800))


def test_normalisation_is_known_where_there_is_any(tmp_path):
    nodes = [
        node("Conv", "x a.weight", "1"),
        node("BatchNormalization", "1 s s s s", "2"),
        node("Relu", "2", "3"),
        node("Conv", "3 b.weight", "y"),
    ]
    held = [weights("a.weight", 3, 3, 1, 1), weights("b.weight", 3, 3, 1, 1), weights("s", 3)]
    net = read(tmp_path, model(nodes, [image(1, 3, 4, 4)], held))
    # As of modules: what a normalised map is read by has one.
    assert [one.normalised for one in net.layers] == [True, True]
    assert net.notes == ()
    bare = read(tmp_path, conv())
    assert (bare.layers[0].normalised, bare.layers[0].has_normalisation) == (None, True)
    assert "no normalisation, which exporters fold" in bare.notes[0]


def test_weights_may_be_made_of_constants_alone(tmp_path):
    nodes = [
        node("Constant", "", "c", value=weights("c", 8, 4)),
        node("Transpose", "c", "t"),
        node("DequantizeLinear", "q s", "d"),
        node("MatMul", "x d", "h"),
        node("MatMul", "h t", "y"),
    ]
    quantised = helper.make_tensor("q", TensorProto.INT8, [6, 4], b"\0" * 24, raw=True)
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.5])
    net = read(tmp_path, model(nodes, [image(1, 6)], [quantised, scale]))
    assert [(one.shape.c, one.shape.k) for one in net.layers] == [(6, 4), (4, 8)]


def test_functions_of_the_file_are_followed(tmp_path):
    inner = helper.make_function(
        "com.own", "Block", ["a", "b"], ["c"], [node("MatMul", "a b", "c")],
        [helper.make_opsetid("", 18)],
    )  # fmt: skip
    made = model(
        [node("Block", "x w", "y", domain="com.own")], [image(3, 4)], [weights("w", 4, 5)],
        functions=[inner],
    )  # fmt: skip
    (layer,) = read(tmp_path, made).layers
    assert layer.shape == ConvShape(n=3, c=4, h=1, w=1, k=5, r=1, s=1)


def test_batches_and_sizes_that_are_open_are_given(tmp_path):
    assert read(tmp_path, conv("N"), batch=5).layers[0].shape == shape(n=5)
    assert read(tmp_path, conv(7)).layers[0].shape == shape(n=7)
    assert read(tmp_path, conv(7), batch=5).layers[0].shape == shape(n=5)
    assert read(tmp_path, conv("N", "h"), image_size=20).layers[0].shape == shape(h=20)


def test_another_batch_is_refused_where_sizes_depend_on_it(tmp_path):
    rows = helper.make_tensor("rows", TensorProto.INT64, [2], [1, -1])
    nodes = [node("Reshape", "x rows", "f"), node("MatMul", "f w", "y")]
    made = model(nodes, [image(1, 4, 2)], [rows, weights("w", 8, 5)])
    assert read(tmp_path, made).layers[0].shape.n == 1
    with pytest.raises(InputError, match=r"must have shapes that fit each other: .*node 1"):
        read(tmp_path, made, batch=2)
    # A product whose rows are as many for any batch.
    nodes = [
        node("MatMul", "x v", "a"),
        node("ReduceMean", "a", "m", axes=[0, 1], keepdims=1),
        node("MatMul", "m w", "y", name="head"),
    ]
    imports = [helper.make_opsetid("", 13)]
    made = model(nodes, [image(1, 4, 2)], [weights("v", 2, 8), weights("w", 8, 5)])
    del made.opset_import[:]
    made.opset_import.extend(imports)
    with pytest.raises(InputError, match="layer head is not the same for 2 of each sample"):
        read(tmp_path, made, batch=2)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (conv("N", "height"), "input 'x' must have a known size along axis 2, not 'height'"),
        (conv("N", None), "along axis 2, not none"),
        (conv(kernel=(4, 2, 3, 3)), "node 0"),
        (conv(pads=[1]), "pads"),
        (conv(kernel=(4, 3, 9, 3)), "net.onnx"),
        (model([node("Relu", "x", "y")], [image(1, 3)], []), "must compute at least one layer"),
        (
            model([node("FusedConv", "x w", "y", name="f", domain="com.microsoft")],
                  [image(1, 3, 8, 8)], [weights("w", 4, 3, 3, 3)]),
            "node 0 'f' (FusedConv): operator must be one of ONNX, not 'com.microsoft.FusedConv'",
        ),
        (
            model([node("Convolve", "x w", "y")], [image(1, 3)], [weights("w", 4, 3)]),
            "node 0 (Convolve): operator must be one of ONNX, not 'Convolve'",
        ),
        (
            model([node("NonZero", "x", "i"), node("Cast", "i", "f", to=1),
                   node("MatMul", "f w", "y", name="last")], [image(2, 3)], [weights("w", 9, 3)]),
            "node 2 'last' (MatMul): 'f' must have known sizes, not (2, ",
        ),
        (b"", "must have nodes; is it cut, or none?"),
        (b"nothing of the kind", "must be one that the library can parse"),
        (conv().SerializeToString()[:-40], "net.onnx"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, made, message):
    with pytest.raises(InputError) as caught:
        read(tmp_path, made)
    assert message in str(caught.value)
    assert "net.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_products_inside_other_graphs_are_said_to_be_of_unknown_share(tmp_path):
    branch = helper.make_graph(
        [node("MatMul", "h w", "b")], "branch", [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, [2, 4])],
    )  # fmt: skip
    nodes = [
        node("MatMul", "x w", "h"),
        node("ReduceSum", "h", "s", keepdims=0),
        node("Cast", "s", "t", to=TensorProto.BOOL),
        node("If", "t", "y", then_branch=branch, else_branch=branch),
    ]
    net = read(tmp_path, model(nodes, [image(2, 4)], [weights("w", 4, 4)]))
    assert (len(net.layers), net.omitted[0].kind, net.omitted[0].share) == (
        1, "products of If", None,
    )  # fmt: skip


def test_without_the_library_one_sentence_says_so(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(conv().SerializeToString())
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "onnx":
            raise ImportError("No module named 'onnx'")
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"need the package onnx: pip install 'gscn\[onnx\]'"):
        read_onnx(path)


GOOD = attention().SerializeToString()


@given(
    cut=st.integers(0, len(GOOD)),
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4),
)
def test_changed_files_are_read_or_refused_in_a_sentence(tmp_path_factory, cut, changes):
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "changed.onnx"
    path.write_bytes(content[: len(content) - cut])
    # Anything but this error, which is one sentence, is a fault.
    with contextlib.suppress(InputError):
        assert read_onnx(path).layers
    assert onnx.__version__
