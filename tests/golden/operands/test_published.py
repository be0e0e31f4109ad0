"""The index of published operands, and the check of every byte."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from gscn.errors import InputError
from gscn.golden.operands.published import (
    Index,
    check_operands,
    index_text,
    published_trace,
    read_index,
    reference_digests,
)
from gscn.golden.operands.suite import STEPS, Step
from gscn.golden.traces.recording import trace_step
from tests.golden.traces.steps import trainer


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder of one trace and its index."""
    folder = tmp_path_factory.mktemp("operands") / "made"
    run = trainer("resprop")
    step = Step(recipe=run.recipe, iterations=run.iteration)
    trace = trace_step(run, folder / step.name, ["stem", "block1.conv1"])
    one = published_trace(step, trace)
    index = Index(traces={one.name: one}, made_with={"torch": "2"})
    (folder / "operands.json").write_text(index_text(index))
    return folder, index


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "copy")


def test_an_index_is_read_as_it_was_written(made):
    folder, index = made
    assert read_index(folder) == check_operands(folder) == index
    (one,) = index.traces.values()
    stem, block = one.layers["stem"], one.layers["block1.conv1"]
    assert "input-grad" not in stem
    assert one.densities["input-grad"] == pytest.approx(block["input-grad"])
    # Weights of the stem are 16 x 1 x 3 x 3; of the block, 16 x 16 x 3 x 3 or more.
    assert one.densities["forward"][0] == pytest.approx(1.0)
    assert 0 < one.densities["weight-grad"][0] < 1


@pytest.mark.parametrize("name", ["trace.json", "stem.npz"])
def test_a_changed_byte_is_named(copy, name):
    path = copy / "digits-resprop" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{re.escape(str(path))} must have the SHA-256"):
        check_operands(copy)


def test_what_is_missing_is_named(copy):
    (copy / "digits-resprop" / "stem.npz").unlink()
    with pytest.raises(InputError, match=r"stem\.npz.* is missing"):
        check_operands(copy)
    shutil.rmtree(copy / "digits-resprop")
    with pytest.raises(InputError, match="digits-resprop, a trace, is missing from the operands"):
        check_operands(copy)
    (copy / "operands.json").unlink()
    with pytest.raises(InputError, match=r"must have the file operands\.json"):
        check_operands(copy)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda content: content.update(format_version=2), "of version 1"),
        (lambda content: content.pop("licences"), "of version 1"),
        (lambda content: content.update(traces={}), "traces a list"),
        (lambda content: content["traces"].append(7), "a trace must have"),
        (lambda content: content["traces"][0].pop("sha256"), "a trace must have"),
        (lambda content: content["traces"][0].update(name="../x"), "must be that of a folder"),
        (lambda content: content["traces"][0].update(sha256=1), "sha256 must be str, not 1"),
        (lambda content: content["traces"][0].update(size_bytes="1"), "must be int, not '1'"),
        (
            lambda content: content["traces"][0]["densities"].update(forward=[0.5, 2]),
            "densities must be two numbers from 0 to 1",
        ),
        (lambda content: content["traces"][0].update(layers={"stem": 1}), "densities must be two"),
    ],
)
def test_a_bad_index_is_named(copy, change, complaint):
    path = copy / "operands.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}.*{re.escape(complaint)}"):
        read_index(copy)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda one: one.update(arrays_sha256="0" * 64), "arrays_sha256 of digits-resprop must"),
        (lambda one: one.update(size_bytes=1), "size_bytes of digits-resprop must be that of"),
        (lambda one: one.update(iterations=4), "iterations of digits-resprop must be that of"),
        (lambda one: one["densities"].update(forward=[0.5, 0.5]), "densities of digits-resprop"),
        (lambda one: one["layers"].pop("stem"), "layers of digits-resprop must be that of"),
        (lambda one: one["recipe"].update(seed=7), "seed of digits-resprop must be 0, .* not 7"),
        (lambda one: one["recipe"].pop("network"), "network of .* must be 'digits', .* None"),
        (lambda one: one["recipe"].update(batch_size={}), "images_seen of digits-resprop must be"),
        (lambda one: one.update(images_seen=7), "images_seen of digits-resprop must be iterations"),
    ],
)
def test_an_index_at_odds_with_its_traces_is_named(copy, change, complaint):
    path = copy / "operands.json"
    content = json.loads(path.read_text())
    change(content["traces"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"{re.escape(str(path))}: {complaint}"):
        check_operands(copy)


def test_reference_digests_are_of_the_steps_that_are_published():
    assert set(reference_digests()) <= set(STEPS)
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in reference_digests().values())
