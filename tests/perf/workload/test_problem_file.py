"""Problems of Timeloop: what is read of them, and what is refused by name."""

from __future__ import annotations

import builtins
import contextlib

import pytest
import yaml
from hypothesis import given

from gscn.conv import ConvShape
from gscn.errors import InputError
from gscn.golden.networks import BATCH
from gscn.perf.workload.networks import network
from gscn.perf.workload.problem_file import read_problems
from tests.perf.workload.changed_text import changed_texts

SIZES = {"C": 3, "M": 8, "R": 3, "S": 3, "P": 8, "Q": 7}


def read(tmp_path, text, batch=4):
    path = tmp_path / "net.yaml"
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return read_problems(path, batch=batch)


def problem(layer):
    """Return a layer as a problem, whose map follows from its outputs."""
    own = layer.shape
    return {
        "problem": {
            "shape": {"name": layer.name},
            "instance": {
                **{"C": own.c, "K": own.k, "R": own.r, "S": own.s, "P": own.p, "Q": own.q, "N": 1},
                **{"Wstride": own.stride[0], "Hstride": own.stride[1]},
            },
        }
    }


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg16", "wrn16-8"])
@pytest.mark.parametrize("as_documents", [False, True])
def test_a_network_of_problems_is_the_network(name, as_documents, tmp_path):
    net = network(name, image_size=32 if name == "wrn16-8" else 224, batch=4)
    problems = [problem(layer) for layer in net.layers]
    text = yaml.safe_dump_all(problems) if as_documents else yaml.safe_dump(problems)
    found = read(tmp_path, text)
    assert [one.name for one in found.layers] == [one.name for one in net.layers]
    assert [one.shape for one in found.layers] == [one.shape for one in net.layers]
    assert [one.linear for one in found.layers] == [one.linear for one in net.layers]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (SIZES, {"h": 10, "w": 9}),
        (SIZES | {"Wstride": 2, "Hdilation": 2}, {"h": 17, "w": 11, "stride": (2, 1),
                                                  "dilation": (1, 2)}),
        (SIZES | {"W": 8, "H": 7, "Wpad": 1, "Hpad": 1}, {"h": 8, "w": 7, "padding": (1, 1)}),
        (SIZES | {"G": 2}, {"h": 10, "w": 9, "c": 6, "k": 16, "groups": 2}),
    ],
)  # fmt: skip
def test_sizes_are_those_of_the_instance(given, expected, tmp_path):
    for form in (given, {"problem": given}, {"problem": {"instance": given}}):
        (layer,) = read(tmp_path, form).layers
        sizes = {"n": 4, "c": 3, "k": 8, "r": 3, "s": 3} | expected
        assert layer.shape == ConvShape(**sizes)


def test_the_batch_is_that_of_the_problem_unless_another_is_asked_for(tmp_path):
    assert read(tmp_path, SIZES | {"N": 3}, batch=None).layers[0].shape.n == 3
    assert read(tmp_path, SIZES | {"N": 3}).layers[0].shape.n == 4
    assert read(tmp_path, SIZES, batch=None).layers[0].shape.n == BATCH


def test_products_of_matrices_and_densities(tmp_path):
    densities = {"A": {"density": 0.1}, "Weights": {"density": 0.5, "distribution": "fixed"}}
    (layer,) = read(tmp_path, {"M": 6, "N": 5, "K": 7, "densities": densities}).layers
    assert layer.shape == ConvShape(n=4, c=7, h=6, w=1, k=5, r=1, s=1)
    assert (layer.linear, layer.weight_density) == (True, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must have 1 to 2000 problems, not 0"),
        ("a: [1", "line 1 must be YAML"),
        ("a: b\n\tc: d", "line 2 must be YAML"),
        ("{{include}}", "must be YAML"),
        ("3", "problem 1 must be an object, not 3"),
        ([SIZES, {"problem": "x"}], "problem 2 must be an object, not 'x'"),
        ({"instance": [1]}, "instance must be an object"),
        (SIZES | {"C": "many"}, "problem 1: C must be from 1 to 1048576, not 'many'"),
        (SIZES | {"C": 0}, "C must be from 1 to 1048576, not 0"),
        (SIZES | {"C": True}, "C must be from 1 to 1048576, not True"),
        (SIZES | {"Hpad": -1}, "Hpad must be from 0 to 1048576, not -1"),
        ({"C": 3, "K": 4}, "P, Q, R, S must be given"),
        ({"C": 3, "P": 1, "Q": 1, "R": 1, "S": 1}, "K or M must be given"),
        ({"A": 1, "B": 2}, "must have C, R, S, P, Q and K or M, or M, N and K, not 'A, B'"),
        (SIZES | {"W": 30, "H": 30}, "P and Q must be those of its map, 28 and 28, not (8, 7)"),
        (SIZES | {"densities": {"Weights": 2}}, "density of weights must be over 0 and at most 1"),
        ("[" * 1000, "must not nest lists and objects so deeply"),
        ("a: &a [1]\nb: *c", "must be YAML"),
        ("!!python/object:os.system {}", "must be YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    with pytest.raises(InputError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert "net.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_library_one_sentence_says_so(tmp_path, monkeypatch):
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "yaml":
            raise ImportError("No module named 'yaml'")
        return plain(name, *args, **kwargs)

    (tmp_path / "net.yaml").write_text(yaml.safe_dump(SIZES))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"need the package pyyaml: pip install 'gscn\[yaml\]'"):
        read_problems(tmp_path / "net.yaml")


GOOD = yaml.safe_dump_all(
    [problem(one) for one in network("resnet20", image_size=32, batch=1).layers[:3]]
)


@given(text=changed_texts(GOOD, "0123456789:-[]{}&*!|>\n\t 'x~"))
def test_changed_files_are_read_or_refused_in_a_sentence(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "changed.yaml"
    path.write_text(text)
    # Anything but this error, which is one sentence, is a fault.
    with contextlib.suppress(InputError):
        assert read_problems(path).layers
