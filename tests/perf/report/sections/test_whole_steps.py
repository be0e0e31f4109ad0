"""The section of whole steps says what the rows have, and names what has no figure."""

from __future__ import annotations

import dataclasses
import json

import pytest

from gscn.array import array
from gscn.golden.networks.catalogue import network_graph
from gscn.perf.estimate.energy import COMPONENTS
from gscn.perf.estimate.training_step import Mode, estimate, to_json
from gscn.perf.report.data import cases
from gscn.perf.report.data.estimated import Estimated
from gscn.perf.report.drawing.page import Figure, Items, Table
from gscn.perf.report.sections import whole_steps
from gscn.perf.workload.networks import network
from gscn.perf.workload.sparsification import Method, Sparsification
from tests.estimates import smaller

CASE = smaller(
    dataclasses.replace(cases.SWAT_90, title="ResNet-20", network="resnet20", key="resnet20")
)


@pytest.fixture(scope="module")
def result():
    sparsification = Sparsification(method=Method(CASE.method), sparsity=CASE.sparsity)
    net = network(CASE.network, image_size=CASE.image_size, batch=CASE.batch)
    made = estimate(net, array("large"), sparsification, mode=Mode.ANALYTIC)
    graph = network_graph(CASE.network, image_size=CASE.image_size, batch=CASE.batch)
    row = to_json(dataclasses.replace(made, graph=graph))
    return Estimated.of(CASE, json.loads(json.dumps(row)))


@pytest.fixture
def refused(swat):
    assert "must have the graph" in swat.row["whole_step"]["refused"]
    return swat


def columns(table):
    """Return the rows of a table as dictionaries."""
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def test_cycles_are_those_of_the_row(result):
    step = result.row["whole_step"]
    rows = columns(whole_steps.cycles_table([result]))
    assert [row["step"] for row in rows] == [
        "thresholds stand", "thresholds selected", "dense array"
    ]  # fmt: skip
    for row, name in zip(rows, ("ours", "selecting", "dense"), strict=True):
        machine = step[name]
        assert row["cycles"] == machine["cycles"] / 1e6
        assert row["exposed, %"] == 100 * machine["exposed_share"]
        for kind, one in machine["encode_passes"].items():
            assert row[kind] == one["cycles"] / 1e6
        alone = sum(one["cycles"] for one in machine["encode_passes"].values())
        alone += machine["convolutions"]["cycles"]
        assert row["in series"] >= alone / 1e6
    assert rows[0]["selection"] is None
    assert rows[2]["selection"] is None


def test_speedups_are_those_of_the_row(result):
    (row,) = columns(whole_steps.speedup_table([result]))
    step = result.row["whole_step"]
    assert row["with everything"] == step["speedup_with_everything"]
    assert row["with operands"] == step["speedup_with_operands"]
    assert row["by selection, %"] == 100 * step["selection_share"]
    assert row["convolutions"] == pytest.approx(result.row["training_speedup_vs_dense"])


def test_bytes_and_energy_grow_by_those_of_encode_passes(result):
    rows = columns(whole_steps.bytes_table([result]))
    assert len(rows) == 4
    for before, after, name in ((*rows[:2], "ours"), (*rows[2:], "dense")):
        encode = result.row["whole_step"][name]["encode_passes"].values()
        for column, part in (
            ("read, MB", "read_bytes"), ("written, MB", "write_bytes"), ("DRAM, MB", "dram_bytes")
        ):  # fmt: skip
            more = sum(one[part] for one in encode) / 1e6
            assert after[column] == pytest.approx(before[column] + more)
        assert before["operands, MB"] == after["operands, MB"] > 0
    # Without samples nothing of our convolutions was counted that energy follows from.
    assert rows[0]["energy, mJ"] is None
    more = whole_steps.encode_energy(
        result.config, result.row["whole_step"]["dense"]["encode_passes"]
    )
    assert rows[3]["energy, mJ"] == pytest.approx(rows[2]["energy, mJ"] + more)
    assert set(COMPONENTS) >= {"DRAM", "port", "multiply"}


def test_energy_of_encode_passes_by_hand(result):
    none = dict.fromkeys(("read_bytes", "write_bytes", "dram_bytes", "cycles"), 0.0)
    # DRAM: 1300 to 2600 pJ of 8 bytes, in the middle; a multiplication of 16 bits by the power
    # law between 0.2 pJ of 8 and 3.1 of 32.
    behind = whole_steps.encode_energy(result.config, {"a": none | {"dram_bytes": 8e9}})
    assert behind == pytest.approx(1950.0)
    lanes = whole_steps.encode_energy(result.config, {"a": none | {"cycles": 1e9}})
    assert lanes == pytest.approx(16 * 2 * (0.2 * 3.1) ** 0.5)
    twice = whole_steps.encode_energy(
        result.config, {"a": none | {"read_bytes": 1e9}, "b": none | {"read_bytes": 1e9}}
    )
    assert twice == pytest.approx(
        2 * whole_steps.encode_energy(result.config, {"a": none | {"read_bytes": 1e9}})
    )


def test_the_figure_shows_the_whole_step(result):
    section = whole_steps.whole_steps_section([result])
    (figure,) = (part for part in section.content if isinstance(part, Figure))
    drawn = figure.draw(760, "wide")
    assert "ResNet-20" in drawn
    assert "weight update" in drawn
    assert not [part for part in section.content if isinstance(part, Items)]
    assert len(section.tables) == 3


def test_networks_without_a_list_are_named_and_have_no_figure(result, refused):
    section = whole_steps.whole_steps_section([result, refused])
    (items,) = (part for part in section.content if isinstance(part, Items))
    assert str(items).count("ResNet-50") == 1
    tables = [part for part in section.content if isinstance(part, Table)]
    assert all("ResNet-50" not in str(table.rows) for table in tables)
    alone = whole_steps.whole_steps_section([refused])
    assert not alone.tables


def test_the_first_operation_without_a_place_is_named_and_the_others_counted():
    why = "a step has no place for 2:\n  pool (MaxPool): why\n  cat (cat): none\nso it stays"
    assert whole_steps._first_of(why) == "pool (MaxPool): why; and 1 more"
    assert whole_steps._first_of("no graph") == "no graph"
