"""Traces for other tools, whole or not at all."""

from __future__ import annotations

import pytest
import yaml

from gscn.command.convert import TOOLS as OFFERED
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.operands.converting import TOOLS, convert
from gscn.golden.traces.arrays import LayerTrace
from gscn.golden.traces.writing import write_trace
from tests.golden.operands.recorded import SHAPES, recorded

FIELDS = {
    "network": "made-up",
    "dataset": "none",
    "method": "dense",
    "sparsity": 0.0,
    "step": 0,
    "seed": 0,
    "dense_iteration": False,
}


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """A trace whose first layer has no input gradient."""
    layers = [
        LayerTrace(
            name=name,
            shape=SHAPES[name],
            passes={
                which: recorded(SHAPES[name], which)
                for which in Pass
                if (name, which) != ("plain", Pass.INPUT_GRAD)
            },
        )
        for name in ("plain", "grouped")
    ]
    return write_trace(tmp_path_factory.mktemp("converted") / "trace", layers, **FIELDS)


def test_every_pass_is_written_for_every_tool(trace, tmp_path):
    passes = ["plain.forward", "plain.weight-grad"]
    passes += [f"grouped.{which}" for which in Pass]
    assert set(convert(trace, "timeloop", tmp_path / "t")) == {f"{one}.yaml" for one in passes}
    assert convert(trace, "scale-sim", tmp_path / "s") == [
        "layout.csv",
        "scale.cfg",
        "topology.csv",
    ]
    rows = (tmp_path / "s" / "topology.csv").read_text().splitlines()[1:]
    groups = [f"grouped.{which}.{group}" for which in Pass for group in range(2)]
    assert [row.split(",")[0] for row in rows] == [*passes[:2], *groups]
    files = ("bitmap_a.in", "bitmap_b.in", "mem.ini", "parameters.json")
    assert set(convert(trace, "stonne", tmp_path / "f")) == {
        f"{one}/{file}" for one in [*passes[:2], *groups] for file in files
    }


def test_chosen_layers_and_passes_only(trace, tmp_path):
    found = convert(trace, "timeloop", tmp_path / "t", layers=["grouped"], passes=["input-grad"])
    assert found == ["grouped.input-grad.yaml"]
    content = yaml.safe_load((tmp_path / "t" / found[0]).read_text())["problem"]
    assert content["shape"]["name"] == "grouped.input-grad"
    assert content["instance"]["G"] == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"tool": "gem5"}, "tool must be one of scale-sim, timeloop, stonne, not 'gem5'"),
        ({"layers": ["tail"]}, "must be one of plain, grouped, not 'tail'"),
        ({"layers": []}, "layers and passes must be at least one"),
        ({"passes": ["input-grad"]}, "pass of layer plain must be one of forward, weight-grad"),
    ],
)
def test_what_cannot_be_converted_is_named_and_nothing_is_written(
    trace, tmp_path, words, complaint
):
    with pytest.raises(InputError, match=complaint):
        convert(trace, words.pop("tool", "timeloop"), tmp_path / "out", **words)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(trace, tmp_path):
    with pytest.raises(InputError, match="must not exist yet"):
        convert(trace, "timeloop", tmp_path)


def test_the_command_offers_every_tool():
    assert tuple(TOOLS) == OFFERED
