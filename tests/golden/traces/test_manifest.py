"""The index of a trace: earlier versions are read, damage is found and named."""

from __future__ import annotations

import os

import pytest

from gscn.errors import InputError
from gscn.golden.traces.trace import load_trace
from tests.golden.traces.steps import change_manifest

OMITTED = {"name": "attention", "kind": "bmm", "macs": 5, "share": 0.1}


@pytest.mark.parametrize("version", [2, 3])
def test_traces_that_do_not_say_what_they_omit_are_read(copy, version):
    def older(manifest):
        manifest.update(format_version=version)
        del manifest["omitted"]
        for layer in manifest["layers"]:
            del layer["normalised"], layer["transposed"]

    change_manifest(copy, older)
    trace = load_trace(copy)
    assert trace.omitted is None
    assert trace.entry("head").normalised is None
    assert trace.load("head").passes


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: m.update(format_version=1), "must have format version 2 or 3 or 4 or 5, not 1"),
        (lambda m: m.pop("format_version"), "must be the manifest of a trace"),
        (lambda m: m.pop("step"), "must be the manifest of a trace: .* is missing"),
        (lambda m: m.pop("dataset"), "must be the manifest of a trace: .* is missing"),
        (lambda m: m["layers"][0].pop("sha256"), "must be the manifest of a trace: .* is missing"),
        (lambda m: m["layers"][0].update(file="../head.npz"), "must be a plain name"),
        (lambda m: m["layers"][0]["shape"].update(groups=0), "groups must be a whole"),
        (lambda m: m["layers"][0]["shape"].update(depth=2), "without the unknown field .depth."),
        (lambda m: m["layers"][0].update(densities={"sideways": [1, 1]}), "sideways"),
        (lambda m: m.update(omitted={}), "omitted must be a list"),
        (lambda m: m.update(omitted=[3]), "must have name, kind, macs and share, not 3"),
        (lambda m: m.update(omitted=[{"name": "x"}]), "must have name, kind, macs and share"),
        (lambda m: m.update(omitted=[{**OMITTED, "share": 2}]), "share must be from 0 to 1, not 2"),
        (lambda m: m.update(omitted=[{**OMITTED, "macs": -1}]), "macs must be a whole number"),
        (lambda m: m["layers"][0].update(normalised=1), "normalised must be true, false or null"),
        (lambda m: m["layers"][0].update(transposed=1), "transposed must be true or false, not 1"),
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


def test_a_long_file_that_holds_nothing_of_a_trace_is_refused_before_it_is_read(copy):
    with (copy / "head.npz").open("r+b") as file:
        file.truncate(1 << 40)
    change_manifest(copy, lambda m: m["layers"][-2].update(size_bytes=1 << 40))
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
