"""Writing: whole or not at all, in chunks, in bounded memory, as the versions before."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gscn.golden.traces.writing
from gscn.conv import Pass
from gscn.errors import InputError, OutputError
from gscn.golden.recipe import Recipe
from gscn.golden.traces.recording import trace_step
from gscn.golden.traces.trace import load_trace
from gscn.golden.traces.writing import write_trace
from gscn.golden.training.training import Trainer
from tests.golden.traces.steps import trainer

ROOT = Path(__file__).resolve().parents[3]
PIECE_BYTES = 3000
"""Some arrays of the digits network are smaller, others are cut into dozens of pieces."""


def trained() -> Trainer:
    trainer = Trainer(Recipe(method="swat+resprop", sparsity=0.9, epochs=1, batch_size=8))
    for _ in trainer.run(2):
        pass
    return trainer


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return trace_step(trained(), tmp_path_factory.mktemp("whole") / "trace")


@pytest.fixture(scope="module")
def chunked(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gscn.golden.traces.writing, "PIECE_BYTES", PIECE_BYTES)
        return trace_step(trained(), tmp_path_factory.mktemp("chunked") / "trace")


def test_existing_directory_is_never_replaced(copy):
    before = {path.name: path.read_bytes() for path in copy.iterdir()}
    teacher = trainer("dense", iterations=0)
    with pytest.raises(InputError, match="must not exist yet"):
        trace_step(teacher, copy)
    assert teacher.iteration == 0
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == before


def test_failed_writing_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(np.lib.format, "write_array", fail)
    with pytest.raises(OutputError, match="trace must be a folder that can be written: disk full"):
        trace_step(trainer("dense", iterations=0), tmp_path / "trace")
    assert list(tmp_path.iterdir()) == []


def test_a_layer_computed_twice_in_a_step_is_refused(whole, tmp_path):
    layer = whole.load("head")
    with pytest.raises(InputError, match="layer head must compute each pass once"):
        write_trace(tmp_path / "trace", [layer, layer])
    assert list(tmp_path.iterdir()) == []


def test_chunks_hold_the_same_arrays(whole, chunked):
    counts = []
    for name in whole.layers:
        one, other = whole.load(name), chunked.load(name)
        assert one.shape == other.shape
        for which, expected in one.passes.items():
            found = other.get(which)
            for part in ("first", "second", "result", "precomputed"):
                array = getattr(expected, part)
                if array is None:
                    assert getattr(found, part) is None
                    continue
                assert np.array_equal(getattr(found, part), array)
                pieces = list(chunked.chunks(name, which, part))
                assert np.array_equal(np.concatenate([piece for _, piece in pieces]), array)
                starts = np.cumsum([0, *(len(piece) for _, piece in pieces)])
                assert [start for start, _ in pieces] == starts[:-1].tolist()
                assert all(p.nbytes <= max(PIECE_BYTES, array[:1].nbytes) for _, p in pieces)
                counts.append(len(pieces))
    assert min(counts) == 1
    assert max(counts) > 7
    assert whole.entries["head"].densities == chunked.entries["head"].densities


def test_nonzeros_are_counted_by_sample_and_channel(chunked):
    for name in chunked.layers:
        for which, one in chunked.load(name).passes.items():
            for part in ("first", "second"):
                nonzero = getattr(one, part) != 0
                for axis in (0, 1):
                    others = tuple(other for other in range(4) if other != axis)
                    found = chunked.nonzeros(name, which, part, axis)
                    assert np.array_equal(found, nonzero.sum(others))
                    with np.load(chunked.directory / f"{name}.npz") as stored:
                        assert np.array_equal(stored[f"{which}.{part}.nonzeros{axis}"], found)


def test_unknown_parts_are_named(chunked):
    with pytest.raises(InputError, match="must be of first or second, along axis 0 or 1"):
        chunked.nonzeros("head", Pass.FORWARD, "result", 0)
    with pytest.raises(InputError, match="must be one of forward, weight-grad, not input-grad"):
        chunked.load_pass("stem", Pass.INPUT_GRAD)
    with pytest.raises(InputError, match=r"head\.npz .* forward\.precomputed is missing"):
        list(chunked.chunks("head", Pass.FORWARD, "precomputed"))


def rewritten(trace, out: Path, change, version: int) -> Path:
    """Copy a trace with the arrays of layer `head` alone, changed."""

    out.mkdir()
    with np.load(trace.directory / "head.npz") as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(out / "head.npz", **arrays)
    manifest = json.loads((trace.directory / "trace.json").read_text())
    manifest["format_version"] = version
    manifest["layers"] = [layer for layer in manifest["layers"] if layer["name"] == "head"]
    content = (out / "head.npz").read_bytes()
    manifest["layers"][0] |= {
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (out / "trace.json").write_text(json.dumps(manifest))
    return out


def test_traces_of_the_version_before_are_read(whole, tmp_path):
    def drop_counts(arrays):
        for key in [key for key in arrays if "nonzeros" in key]:
            del arrays[key]

    old = load_trace(rewritten(whole, tmp_path / "old", drop_counts, 2))
    one, other = whole.load("head"), old.load("head")
    for which, expected in one.passes.items():
        assert np.array_equal(other.get(which).first, expected.first)
        counts = old.nonzeros("head", which, "second", 1)
        assert np.array_equal(counts, whole.nonzeros("head", which, "second", 1))


def test_counts_and_chunks_at_odds_with_the_arrays_are_named(whole, chunked, tmp_path):
    def count_one_more(arrays):
        arrays["forward.second.nonzeros1"][3] += 1

    bad = load_trace(rewritten(whole, tmp_path / "counts", count_one_more, 3))
    with pytest.raises(InputError, match=r"head\.npz: forward\.second\.nonzeros1 must be the nonz"):
        bad.load_pass("head", Pass.FORWARD)
    bad = load_trace(rewritten(chunked, tmp_path / "gap", lambda a: a.pop("forward.second.1"), 3))
    with pytest.raises(InputError, match=r"head\.npz: forward\.second must be float32 of shape"):
        bad.load_pass("head", Pass.FORWARD)


GROWTH = """
import resource, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from gscn.golden.recipe import Recipe
from gscn.golden.traces.recording import trace_step
from gscn.golden.training.training import Trainer
trainer = Trainer(Recipe(network="resnet20", image_size=128, batch_size=4, method="swat",
                         sparsity=0.9, epochs=1))
for _ in trainer.run(2):
    pass
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
trace = trace_step(trainer, Path(sys.argv[1]))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(1024 * (after - before), sum(entry.size_bytes for entry in trace.entries.values()))
"""


@pytest.mark.slow
def test_memory_grows_by_chunks_not_by_the_trace(tmp_path):
    command = [sys.executable, "-c", GROWTH, str(tmp_path / "trace")]
    run = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    grown_bytes, trace_bytes = map(int, run.stdout.split())
    assert trace_bytes > 150e6
    assert grown_bytes < 32e6
