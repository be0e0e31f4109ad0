"""Traces: a round trip, and what is asked for that is not there."""

from __future__ import annotations

import hashlib
import json

import pytest

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.traces.trace import load_trace


def test_manifest_round_trip(directory):
    trace = load_trace(directory / "trace.json")
    assert trace == load_trace(directory)
    assert (trace.network, trace.dataset) == ("digits", "digits")
    assert (trace.method, trace.sparsity) == ("swat+resprop", 0.9)
    assert (trace.step, trace.seed, trace.dense_iteration) == (3, 0, False)
    assert sorted(p.name for p in directory.iterdir()) == sorted(
        ["trace.json", *(entry.file for entry in trace.entries.values())]
    )


def test_unknown_layer_and_missing_pass_are_named(directory):
    trace = load_trace(directory)
    with pytest.raises(InputError, match=r"must be one of stem, block1.conv1, .*, not 'conv9'"):
        trace.load("conv9")
    with pytest.raises(InputError, match="must be one of forward, weight-grad, not input-grad"):
        trace.load("stem").get(Pass.INPUT_GRAD)


def test_layer_that_is_no_archive_is_named(copy):
    content = b"not an archive"
    (copy / "head.npz").write_bytes(content)
    manifest = json.loads((copy / "trace.json").read_text())
    manifest["layers"][-2] |= {
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (copy / "trace.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"layer of a trace .*head\.npz must be a whole archive"):
        load_trace(copy).load("head")
