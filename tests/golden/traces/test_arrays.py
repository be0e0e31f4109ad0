"""Arrays of a traced layer: those at odds with their pass, or with the file, are named."""

from __future__ import annotations

import io

import numpy as np
import pytest

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.traces.trace import load_trace
from tests.golden.traces.steps import (
    archive_with,
    array_of,
    replace_file,
    reseal,
)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda a: a.update({"forward.first": a["forward.first"][:1]}), r"forward\.first must be"),
        (lambda a: a.update({"forward.result": a["forward.result"].astype("f8")}), "not float64"),
        (lambda a: a.pop("weight-grad.second"), r"weight-grad\.second"),
        (
            lambda a: a.update({"input-grad.precomputed": np.zeros((2, 3), np.float32)}),
            r"input-grad\.precomputed must be float32 that broadcasts",
        ),
    ],
)
def test_arrays_at_odds_with_the_shape_are_named(copy, change, complaint):
    reseal(copy, "head", change)
    trace = load_trace(copy)
    with pytest.raises(InputError, match=rf"head\.npz.*{complaint}"):
        trace.load("head")


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"forward.first.npy": array_of("(1000000000000,)")}, "must have the 4000000000000 bytes"),
        ({"forward.first.npy": b"\x93NUMPY\1\0\x40\0{'descr': '<f4', "}, "must describe an array"),
        ({"forward.first.npy": array_of("()", bytes(4))}, "differ in their length only"),
        ({"forward.first.npy": b"\1"}, "NumPy's format"),
        ({"notes.txt": b"text"}, "entries must be arrays"),
        (
            {
                "forward.first.npy": None,
                "forward.first.0.npy": array_of("(1, 64, 1, 1)", bytes(256)),
                "forward.first.1.npy": array_of("(63, 64, 1)", bytes(4 * 63 * 64)),
            },
            "pieces of forward.first must differ in their length only",
        ),
        ({"forward.first.nonzeros0.npy": array_of("(1,)", bytes(4))}, "must be the nonzeros"),
    ],
)
def test_entries_that_are_no_arrays_of_their_pass_are_named(copy, entries, complaint):
    path = copy / "head.npz"
    replace_file(copy, "head", archive_with(path, entries))
    trace = load_trace(copy)
    with pytest.raises(InputError, match=rf"head\.npz.*{complaint}"):
        trace.load_pass("head", Pass.FORWARD)


def test_a_compressed_layer_is_refused(copy):
    with np.load(copy / "head.npz") as stored:
        arrays = dict(stored)
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    replace_file(copy, "head", stream.getvalue())
    with pytest.raises(InputError, match="must be stored, not compressed"):
        load_trace(copy).load("head")
