"""Traces: what they hold equals what training computed, and damage is found and named."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile

import numpy as np
import pytest
import torch

from gscn import golden
from gscn.conv import Pass
from gscn.errors import InputError, OutputError
from gscn.golden.omitted import Omitted, covered_share
from gscn.golden.oracle.integers import convolve
from gscn.golden.recipe import Recipe, method_options
from gscn.golden.traces.recording import layer_trace, recording, trace_step
from gscn.golden.traces.trace import load_trace
from gscn.golden.training.model import conv_layers
from gscn.golden.training.training import Trainer


def trainer(method: str, iterations: int = 3, **recipe) -> Trainer:
    made = Trainer(
        Recipe(
            method=method, epochs=1, batch_size=8, **recipe, **method_options(method, sparsity=0.9)
        )
    )
    for _ in made.run(iterations):
        pass
    return made


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    out = tmp_path_factory.mktemp("traces") / "both"
    trace_step(trainer("swat+resprop"), out)
    return out


@pytest.fixture
def copy(directory, tmp_path):
    return shutil.copytree(directory, tmp_path / "copy")


@pytest.mark.parametrize("method", ["dense", "swat", "resprop", "swat+resprop"])
def test_results_and_precomputed_terms_are_the_gradients_of_the_step(method, tmp_path):
    teacher = trainer(method)
    trace = trace_step(teacher, tmp_path / "trace")
    assert trace.layers == tuple(conv_layers(teacher.network))
    for name, conv in conv_layers(teacher.network).items():
        layer = trace.load(name)
        for which, one in layer.passes.items():
            operands = (torch.from_numpy(one.first).double(), torch.from_numpy(one.second).double())
            exact = convolve(layer.shape, which, *operands).numpy()
            assert np.abs(one.result - exact).max() <= 1e-5 * np.abs(exact).max()
            backward = which is not Pass.FORWARD
            assert (one.precomputed is not None) == (backward and "resprop" in method)
            density = trace.entry(name).densities[which]
            assert density == (np.mean(one.first != 0), np.mean(one.second != 0))
        one = layer.get(Pass.WEIGHT_GRAD)
        term = 0 if one.precomputed is None else one.precomputed
        # The optimiser adds the decay to the gradient only in its own copy.
        assert np.array_equal(one.result + term, conv.weight.grad.numpy())


def test_operands_are_those_that_each_pass_used(directory):
    layer = load_trace(directory).load("block2.conv1")
    forward, input_grad, weight_grad = (layer.get(which) for which in Pass)
    assert layer.shape.stride == (2, 2)
    assert np.array_equal(forward.first, input_grad.first)
    assert np.array_equal(input_grad.second, weight_grad.first)
    kept = weight_grad.second != 0
    assert 0 < np.count_nonzero(kept) < np.count_nonzero(forward.second)
    assert np.array_equal(weight_grad.second[kept], forward.second[kept])
    assert np.mean(forward.first != 0) < 0.15
    assert input_grad.precomputed.shape == (1, 16, 8, 8)
    assert weight_grad.precomputed.shape == weight_grad.result.shape == (32, 16, 3, 3)


def test_bias_is_the_forward_precomputed_term():
    conv = torch.nn.Conv2d(2, 3, 3)
    network = golden.sparsify(torch.nn.Sequential(conv), "dense")
    with recording(network) as traced:
        y = network(torch.randn(2, 2, 5, 5, generator=torch.Generator().manual_seed(0)))
    one = layer_trace("0", conv, traced["0"]).get(Pass.FORWARD)
    assert one.precomputed.shape == (1, 3, 1, 1)
    assert np.array_equal(one.result + one.precomputed, y.detach().numpy())


def test_traces_cover_the_kinds_of_convolution(directory):
    shapes = [entry.shape for entry in load_trace(directory).entries.values()]
    assert {(s.r, s.s, s.stride) for s in shapes} == {
        (3, 3, (1, 1)),
        (3, 3, (2, 2)),
        (1, 1, (2, 2)),
        (1, 1, (1, 1)),
    }


def test_manifest_round_trip(directory):
    trace = load_trace(directory / "trace.json")
    assert trace == load_trace(directory)
    assert (trace.network, trace.dataset) == ("digits", "digits")
    assert (trace.method, trace.sparsity) == ("swat+resprop", 0.9)
    assert (trace.step, trace.seed, trace.dense_iteration) == (3, 0, False)
    assert sorted(p.name for p in directory.iterdir()) == sorted(
        ["trace.json", *(entry.file for entry in trace.entries.values())]
    )


def test_equal_seeds_give_equal_bytes(directory, tmp_path):
    trace_step(trainer("swat+resprop"), tmp_path / "again")
    trace_step(trainer("swat+resprop", seed=1), tmp_path / "other")
    for path in directory.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert load_trace(tmp_path / "other").entries != load_trace(directory).entries


def test_chosen_layers_only_and_observers_are_removed(tmp_path):
    teacher = trainer("dense", iterations=0)
    trace = trace_step(teacher, tmp_path / "trace", ["head", "stem"])
    assert trace.layers == ("stem", "head")
    assert all(conv.gscn.observer is None for conv in conv_layers(teacher.network).values())
    with pytest.raises(InputError, match=r"layer must be one of stem, block1.*, not 'tail'"):
        trace_step(teacher, tmp_path / "other", ["tail"])
    assert [path.name for path in tmp_path.iterdir()] == ["trace"]


def test_dense_iteration_of_resprop_is_reported(tmp_path, caplog):
    trace = trace_step(trainer("resprop", iterations=0), tmp_path / "trace")
    assert trace.dense_iteration
    assert "first or last of its epoch" in caplog.text


def test_unknown_layer_and_missing_pass_are_named(directory):
    trace = load_trace(directory)
    with pytest.raises(InputError, match=r"must be one of stem, block1.conv1, .*, not 'conv9'"):
        trace.load("conv9")
    with pytest.raises(InputError, match="must be one of forward, weight-grad, not input-grad"):
        trace.load("stem").get(Pass.INPUT_GRAD)


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


def test_file_cut_short_or_missing_is_named(copy):
    path = copy / "block1.conv2.npz"
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    with pytest.raises(InputError, match=r"block1\.conv2\.npz must have \d+ bytes, not \d+"):
        load_trace(copy)
    path.unlink()
    with pytest.raises(InputError, match=r"block1\.conv2\.npz, of layer block1\.conv2, is missing"):
        load_trace(copy)


def test_changed_byte_is_found_on_opening_and_on_loading(copy):
    trace = load_trace(copy)
    path = copy / "head.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    for read in (lambda: load_trace(copy), lambda: trace.load("head")):
        with pytest.raises(InputError, match=r"head\.npz must have the SHA-256 .*damaged"):
            read()


def reseal(copy, name: str, change) -> None:
    """Apply a change to a layer's arrays and put the right size and digest into the manifest."""
    path = copy / f"{name}.npz"
    with np.load(path) as stored:
        arrays = dict(stored)
    change(arrays)
    np.savez(path, **arrays)
    manifest = json.loads((copy / "trace.json").read_text())
    for layer in manifest["layers"]:
        if layer["name"] == name:
            layer["size_bytes"] = path.stat().st_size
            layer["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (copy / "trace.json").write_text(json.dumps(manifest))


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


def replace_file(copy, name: str, content: bytes) -> None:
    """Put a file in the place of a layer's, with its right size and digest in the manifest."""
    (copy / f"{name}.npz").write_bytes(content)
    manifest = json.loads((copy / "trace.json").read_text())
    for layer in manifest["layers"]:
        if layer["name"] == name:
            layer |= {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (copy / "trace.json").write_text(json.dumps(manifest))


def archive_with(path, replaced: dict[str, bytes | None]) -> bytes:
    """Return an archive of the entries of another, some of other content, or none."""
    stream = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(stream, "w") as new:
        entries = {name: old.read(name) for name in old.namelist()}
        for name, content in {**entries, **replaced}.items():
            if content is not None:
                new.writestr(name, content)
    return stream.getvalue()


def array_of(shape: str, data: bytes = b"") -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + data


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


def test_a_long_file_that_holds_nothing_of_a_trace_is_refused_before_it_is_read(copy):
    with (copy / "head.npz").open("r+b") as file:
        file.truncate(1 << 40)
    change_manifest(copy, lambda m: m["layers"][-1].update(size_bytes=1 << 40))
    with pytest.raises(InputError, match=r"head\.npz must be a whole archive"):
        load_trace(copy)


def test_pipes_and_devices_are_no_layers(copy):
    path = copy / "head.npz"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match=r"head\.npz must be a regular file, not a pipe"):
        load_trace(copy)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"head\.npz must be a regular file, not a device"):
        load_trace(copy)


def test_layer_that_is_no_archive_is_named(copy):
    content = b"not an archive"
    (copy / "head.npz").write_bytes(content)
    manifest = json.loads((copy / "trace.json").read_text())
    manifest["layers"][-1] |= {
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (copy / "trace.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"layer of a trace .*head\.npz must be a whole archive"):
        load_trace(copy).load("head")


def test_what_is_not_traced_is_named_with_its_share(tmp_path):
    teacher = trainer("swat+resprop")
    layers = {layer.name: layer for layer in teacher.survey().layers}
    total = sum(layer.shape.dense_macs for layer in layers.values())
    whole = trace_step(teacher, tmp_path / "whole")
    share = layers["classifier"].shape.dense_macs / total
    assert whole.omitted == (
        Omitted(name="classifier", kind="fully connected layer", macs=8 * 64 * 10, share=share),
    )
    assert {entry.normalised for entry in whole.entries.values()} == {True}
    part = trace_step(teacher, tmp_path / "part", ["stem", "head"])
    assert {one.name for one in part.omitted} == layers.keys() - {"stem", "head"}
    assert {one.kind for one in part.omitted} == {
        "fully connected layer",
        "convolution that is not traced",
    }
    traced = sum(layers[name].shape.dense_macs for name in ("stem", "head"))
    assert covered_share(part.omitted) == pytest.approx(traced / total)
    assert load_trace(tmp_path / "part") == part


@pytest.mark.parametrize("version", [2, 3])
def test_traces_that_do_not_say_what_they_omit_are_read(copy, version):
    def older(manifest):
        manifest.update(format_version=version)
        del manifest["omitted"]
        for layer in manifest["layers"]:
            del layer["normalised"]

    change_manifest(copy, older)
    trace = load_trace(copy)
    assert trace.omitted is None
    assert trace.entry("head").normalised is None
    assert trace.load("head").passes


def change_manifest(copy, change) -> None:
    manifest = json.loads((copy / "trace.json").read_text())
    change(manifest)
    (copy / "trace.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.update(format_version=1), "must have format version 2 or 3 or 4, not 1"),
        (lambda m: m.pop("format_version"), "must be the manifest of a trace"),
        (lambda m: m.pop("step"), "must be the manifest of a trace: .* is missing"),
        (lambda m: m.pop("dataset"), "must be the manifest of a trace: .* is missing"),
        (lambda m: m["layers"][0].pop("sha256"), "must be the manifest of a trace: .* is missing"),
        (lambda m: m["layers"][0].update(file="../head.npz"), "must be a plain name"),
        (lambda m: m["layers"][0]["shape"].update(groups=2), "groups must be 1"),
        (lambda m: m["layers"][0]["shape"].update(depth=2), "without the unknown field .depth."),
        (lambda m: m["layers"][0].update(densities={"sideways": [1, 1]}), "sideways"),
        (lambda m: m.update(omitted={}), "omitted must be a list"),
        (lambda m: m.update(omitted=[3]), "must have name, kind, macs and share, not 3"),
        (lambda m: m["omitted"][0].pop("kind"), "must have name, kind, macs and share"),
        (lambda m: m["omitted"][0].update(share=2), "share must be from 0 to 1, not 2"),
        (lambda m: m["omitted"][0].update(macs=-1), "macs must be a whole number"),
        (lambda m: m["layers"][0].update(normalised=1), "normalised must be true, false or null"),
        (lambda m: m.update(layers=[]), "layers must be at least one"),
        (lambda m: m["layers"].append(m["layers"][0]), "names of layers must differ"),
        (lambda m: m["layers"].append(7), "a layer must be an object, not 7"),
        (lambda m: m.update(step=3.0), "step must be a whole number of at least 0, not 3.0"),
        (lambda m: m.update(step=float("inf")), "numbers must be finite, not Infinity"),
        (lambda m: m.update(seed=-1), "seed must be a whole number of at least 0, not -1"),
        (lambda m: m.update(seed=True), "seed must be a whole number"),
        (lambda m: m.update(sparsity="0.9"), "sparsity must be a number from 0 to 1, not '0.9'"),
        (lambda m: m.update(sparsity=1.5), "sparsity must be a number from 0 to 1, not 1.5"),
        (lambda m: m.update(network=None), "network must be text, not None"),
        (lambda m: m.update(dense_iteration=0), "dense_iteration must be true or false, not 0"),
        (lambda m: m["layers"][0]["shape"].update(c=3.0), "c must be a whole number"),
        (lambda m: m["layers"][0]["shape"].update(stride=[1]), "stride must be a pair"),
        (lambda m: m["layers"][0]["shape"].update(stride=[1, 0]), "stride must be two numbers"),
        (lambda m: m["layers"][0].update(sha256="0" * 63), "64 hexadecimal digits"),
        (lambda m: m["layers"][0].update(file=""), "must be a plain name"),
        (lambda m: m["layers"][0].update(densities={"forward": [1, 2]}), "numbers from 0 to 1"),
        (lambda m: m.update(format_version={"a": 1}), "must have format version 2 or 3"),
        (lambda m: m.update(layers=3), "layers must be a list, not 3"),
    ],
)
def test_bad_manifest_is_named(copy, change, complaint):
    change_manifest(copy, change)
    with pytest.raises(InputError, match=rf"trace\.json.*{complaint}"):
        load_trace(copy)


def test_manifest_cut_short_or_absent_is_named(copy, tmp_path):
    path = copy / "trace.json"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match=r"trace\.json must be readable JSON"):
        load_trace(copy)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"trace\.json must be readable JSON"):
        load_trace(copy)
    path.unlink()
    with pytest.raises(InputError, match=r"must be a directory with a trace\.json, not .*copy"):
        load_trace(copy)
    with pytest.raises(InputError, match=r"must be a directory with a trace\.json, not .*absent"):
        load_trace(tmp_path / "absent")
