"""Launches of recorded layers: what is replayed is what the launch reads, and it is kept."""

from __future__ import annotations

import numpy as np
import pytest

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.perf.report.drawing.page import Table
from gscn.perf.report.sections import recorded_launches

SHAPE = ConvShape(n=2, c=8, h=8, w=8, k=8, r=3, s=3, padding=(1, 1))
TINY = ARRAYS["tiny"]


class Recorded:
    """A trace of one layer, as far as the section looks at it."""

    layers = ("layer",)

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.passes = {
            which: [rng.normal(size=size) * (rng.random(size) < 0.3)
                    for size in SHAPE.operand_shapes(which)]
            for which in Pass
        }  # fmt: skip

    def entry(self, name):
        if name != "layer":
            raise InputError(f"layer must be one of layer, not {name!r}")
        return type("Entry", (), {"shape": SHAPE, "sha256": "0", "densities": self.passes})

    def load_pass(self, name, which):
        first, second = self.passes[which]
        return type("PassTrace", (), {"first": first, "second": second})


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return recorded_launches.measure_launches(
        Recorded(), ["layer"], TINY, tmp_path_factory.mktemp("kept")
    )


def test_bytes_are_ordered_as_they_must_be(measured):
    assert [launch["pass"] for launch in measured] == [str(which) for which in Pass]
    for launch in measured:
        reads = recorded_launches._reads(launch)
        assert list(reads) == sorted(reads, reverse=True)
        # each byte once, and a list of a few passes
        assert reads[-1] <= launch["operand_bytes"] + 1024
        # small strips: tables, and what is filled up to lines, are as large as they
        assert launch["operand_bytes"] > 0.8 * launch["compressed"]["read_bytes"]
        assert launch["accesses"]["products"] >= launch["useful_products"] > 0
        assert launch["accesses"]["read_bytes"] == launch["ports"]["read_bytes"]


def test_launches_are_measured_once(tmp_path):
    notes = []

    def measure(trace, layer, which, config):
        notes.append((layer, str(which)))
        return {"pass": str(which)}

    options = {"measure": measure, "progress": notes.append}
    first = recorded_launches.measure_launches(Recorded(), ["layer"], TINY, tmp_path, **options)
    assert len(notes) == 2 * len(Pass)
    again = recorded_launches.measure_launches(Recorded(), ["layer"], TINY, tmp_path, **options)
    assert again == first
    assert len(notes) == 2 * len(Pass)


def test_the_section_tells_bytes_read_per_byte_in_memory(measured):
    section = recorded_launches.recorded_launches_section(measured, TINY, "Made up")
    (table,) = (part for part in section.content if isinstance(part, Table))
    for row, launch in zip(table.rows, measured, strict=True):
        cells = dict(zip(table.header, row, strict=True))
        assert cells["ports, per byte"] == pytest.approx(
            launch["ports"]["read_bytes"] / launch["operand_bytes"]
        )
        assert cells["buffer of 1024 KiB, per byte"] == pytest.approx(
            launch["buffered_read_bytes"][str(1 << 20)] / launch["operand_bytes"]
        )
        assert cells["dense, MB"] == pytest.approx(launch["dense"]["read_bytes"] / 1e6)
    assert section.content[0].words.startswith("Made up. Every operand is in memory once")


def test_a_layer_that_was_not_recorded_is_refused(tmp_path):
    with pytest.raises(InputError, match="not 'other'"):
        recorded_launches.measure_launches(Recorded(), ["other"], TINY, tmp_path)
