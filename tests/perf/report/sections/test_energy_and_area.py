"""Energy is the sum over passes, area what was measured."""

from __future__ import annotations

import pytest

from gscn.errors import InputError
from gscn.perf.estimate import energy
from gscn.perf.report.data.measured import Documents
from gscn.perf.report.sections import energy_and_area


def test_energy_is_the_sum_over_passes(swat):
    ours = energy_and_area.network_energy(swat)
    by_hand = sum(
        sum(energy.energy(swat.config, energy.Accesses(**p.accesses)).values()) for p in swat.passes
    )
    assert sum(ours.values()) == pytest.approx(by_hand * 1e-9)
    assert list(ours) == list(energy.COMPONENTS)
    buffered = energy_and_area.network_energy(swat, buffer_bytes=energy_and_area.BUFFER_BYTES)
    assert buffered["DRAM"] < ours["DRAM"]
    assert buffered["buffer"] > ours["buffer"] == 0


def test_area_is_that_of_its_figures():
    area = Documents.read().area
    shown = energy_and_area.area_table(area, "small int16")
    (report,) = (r for r in area["reports"] if r["name"] == "small int16")
    rows = {row[0]: row for row in shown.rows}
    for name in ("PE", "Results", "Array"):
        counts = report["components"][name]
        assert rows[name][2:4] == (counts["memory_bits"], counts["area"])
        assert rows[name][6] == counts["luts"]
    assert rows["Array"][5] == 100
    with pytest.raises(InputError, match="areas must be of huge, not only of small int16"):
        energy_and_area.area_table(area, "huge")


def test_a_useful_product_is_the_chip_s_energy_over_the_products_that_are_made(swat):
    shown = energy_and_area.useful_products_table([swat])
    ((label, removed, useful, dense, times, break_even, *parts),) = shown.rows
    assert label == swat.case.label
    products = sum(p.accesses["products"] for p in swat.passes)
    macs = sum(p.shape.dense_macs for p in swat.passes)
    ours = energy_and_area.network_energy(swat)
    theirs = energy_and_area.network_dense_energy(swat)
    chip, dense_chip = (sum(one.values()) - one["DRAM"] for one in (ours, theirs))
    assert removed == pytest.approx(100 * (1 - products / macs))
    assert useful == pytest.approx(1e9 * chip / products) == pytest.approx(sum(parts))
    assert dense == pytest.approx(1e9 * dense_chip / macs)
    assert times == pytest.approx(useful / dense)
    # at that share removed both take the same
    assert (1 - break_even / 100) * useful == pytest.approx(dense)
