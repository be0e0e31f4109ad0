"""What the sections say is what the rows hold, summed by hand."""

from __future__ import annotations

import math

import pytest

from gscn.conv import Pass
from gscn.errors import InputError
from gscn.perf.estimate import energy, memory
from gscn.perf.report.data import cases, published
from gscn.perf.report.data.measured import Documents
from gscn.perf.report.data.rows import GROUPS, pass_rows, touched_share
from gscn.perf.report.drawing.page import Items, Paragraph, Table
from gscn.perf.report.sections import (
    energy_and_area,
    memory_hierarchy,
    other_accelerators,
    published_beside_ours,
    speed,
)
from gscn.perf.report.sections.evidence import error_tables, largest_errors, measured_summary
from gscn.perf.report.sections.speed import Estimated
from tests.estimates import RIVAL_FACTORS, UTILIZATION, made_up_row, smaller


@pytest.fixture(scope="module")
def swat():
    case = smaller(cases.SWAT_90)
    return Estimated.of(case, made_up_row(case))


@pytest.fixture(scope="module")
def resprop():
    case = smaller(cases.RESPROP_CASES[0], network="resnet18")
    return Estimated.of(case, made_up_row(case))


def table(section, name):
    (found,) = (part for part in section.content if isinstance(part, Table) and part.name == name)
    return found


def words(section):
    """Return the texts of a section."""
    texts = [part.words for part in section.content if isinstance(part, Paragraph)]
    lists = [part.entries for part in section.content if isinstance(part, Items)]
    return "\n".join([*texts, *(entry for entries in lists for entry in entries)])


def test_passes_are_those_of_the_row(resprop):
    listed = [
        (layer["name"], fields) for layer in resprop.row["layers"] for fields in layer["passes"]
    ]
    assert [(p.layer, str(p.which)) for p in resprop.passes] == [
        (name, fields["pass"]) for name, fields in listed
    ]
    for p, (_, fields) in zip(resprop.passes, listed, strict=True):
        works = fields["convolutions"]
        assert p.useful_products == sum(work["expected_useful_products"] for work in works)
        assert p.accesses["products"] == pytest.approx(p.useful_products)
        assert p.causes["busy"] == pytest.approx(p.useful_products)
        assert p.utilization(resprop.config) == pytest.approx(UTILIZATION, rel=1e-3)
        assert p.accesses["read_bytes"] == p.ports.read_bytes >= fields["read_bytes"]
        assert sum(p.causes.values()) == pytest.approx(p.cycles * resprop.config.multipliers)


def test_a_stride_steps_over_inputs_and_ports_move_what_there_is(resprop):
    p = next(p for p in resprop.passes if p.shape.r == 1 and p.shape.stride == (2, 2))
    assert touched_share(p.shape, Pass.FORWARD) == 0.25
    assert touched_share(p.shape, Pass.INPUT_GRAD) == 1.0
    for p in resprop.passes:
        assert p.ports.read_bytes >= p.compressed.read_bytes
        assert p.ports.write_bytes >= p.compressed.write_bytes


def test_compressed_bytes_count_the_precomputed_term(resprop):
    p = next(p for p in resprop.passes if p.which is Pass.WEIGHT_GRAD and not p.linear)
    own = memory.compressed_bytes(p.shape, p.which, *p.densities)
    assert p.compressed.read_bytes > own.read_bytes
    assert p.compressed.write_bytes == 2 * own.write_bytes


def test_speedups_are_ratios_of_sums(swat):
    for group, which in GROUPS.items():
        chosen = [p for p in swat.passes if p.which in which]
        expected = sum(p.dense_cycles for p in chosen) / sum(p.cycles for p in chosen)
        assert swat.speedup(group) == pytest.approx(expected)
        assert swat.speedup(group) == pytest.approx(swat.row[f"{group}_speedup_vs_dense"])
    assert swat.speedup("training", over="scnn+") == pytest.approx(RIVAL_FACTORS["scnn+"])
    assert swat.speedup("training", over="nobody") is None


def test_the_limit_is_reached_to_the_utilisation(swat):
    limit = speed.product_limit(swat.passes, swat.config, "training")
    assert swat.speedup("training") / limit == pytest.approx(UTILIZATION, rel=1e-3)
    shares = speed.bound_shares(swat.passes, swat.config)
    assert sum(shares.values()) == pytest.approx(1)
    # A pass whose operands take longer over the port than its products is not the multipliers'.
    products = sum(
        p.cycles
        for p in swat.passes
        if p.useful_products > p.ports.read_bytes and p.useful_products > p.ports.write_bytes
    )
    assert shares["multipliers"] == pytest.approx(products / sum(p.cycles for p in swat.passes))
    assert shares["multipliers"] > 0.5


def test_published_values_stand_beside_the_network_that_they_are_of(swat, resprop):
    rows = {row[0]: row for row in table(speed.speedup_section([swat, resprop]), "speedups").rows}
    assert rows["ResNet-50, SWAT 90 %"][10:] == (5.6, 6.3, None)
    assert rows["ResNet-34, ReSprop 90 %"][10:] == (None, None, None)


def test_figures_over_a_gpu_do_not_stand_unexplained_beside_those_over_dense(swat, resprop):
    shown = table(speed.speedup_section([swat, resprop]), "speedups")
    assert "Times faster than the dense array" in shown.caption
    assert "The published 8.0x (ResNet-34, ReSprop, backward) and 7.2x" in shown.caption
    assert "over a GTX 1080 Ti" in shown.caption


def test_claims_name_both_baselines(swat):
    claims = published_beside_ours.swat_claims({cases.SWAT_90.key: swat})
    assert [claim.figure.key for claim in claims] == ["swat-forward-90", "swat-backward-90"]
    assert claims[0].ours == swat.speedup("forward")
    assert claims[0].ratio == pytest.approx(swat.speedup("forward") / 5.6)
    section = published_beside_ours.verdict_section(claims, ["something"])
    text = words(section)
    for claim in claims:
        assert f"{claim.what}: the products left allow" in text
        assert claim.baseline in text
        assert claim.figure.baseline in text
    assert "Not computed: something" in text


def test_the_mean_over_scnn_needs_all_five_networks(swat):
    own = {case.key: swat for case in cases.ANT_CASES}
    (claim,) = published_beside_ours.scnn_claims(own)
    assert claim.ours == pytest.approx(RIVAL_FACTORS["scnn+"])
    assert claim.figure.value == 3.71
    assert "our ANT-style is 3.0x there" in claim.terms
    own.pop(cases.ANT_CASES[0].key)
    assert published_beside_ours.scnn_claims(own) == []


def test_every_published_figure_says_what_it_is_over_and_where_it_stands():
    assert len(published.BY_KEY) == len(published.FIGURES)
    for figure in published.FIGURES:
        assert figure.baseline
        assert figure.source
        assert figure.value > 0
    assert published.GTX_1080_TI.bytes_per_cycle_and_lane == pytest.approx(484e9 / 1582e6 / 3584)


def test_dram_slows_both_and_a_buffer_helps(swat):
    endless = memory_hierarchy.limited_speedup(swat.passes, math.inf, 0)
    assert endless == pytest.approx(swat.speedup("training"))
    share = memory_hierarchy.gtx_share(swat.config.multipliers)
    values = [
        memory_hierarchy.limited_speedup(swat.passes, share, size)
        for size in memory_hierarchy.BUFFERS
    ]
    assert values == sorted(values)
    assert values[0] < values[-1]
    # At least 20 bytes per cycle at the ports and 5.46 of DRAM: everything waits for DRAM.
    assert memory_hierarchy.dram_bound_share(swat.passes, share, 0) == pytest.approx(1)
    ours = sum(p.ports.total_bytes / share for p in swat.passes)
    dense = sum(max(p.dense_cycles, p.dense_traffic.total_bytes / share) for p in swat.passes)
    assert values[0] == pytest.approx(dense / ours)


def test_a_buffer_counts_where_it_holds_the_smaller_operand(swat):
    p = swat.passes[5]
    assert p.dram_bytes(p.resident_bytes - 1) == p.ports.total_bytes
    assert p.dram_bytes(p.resident_bytes) == min(p.ports.total_bytes, p.compressed.total_bytes)


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
    for name in ("PE", "Loader", "Accelerator"):
        counts = report["components"][name]
        assert rows[name][2:4] == (counts["memory_bits"], counts["area"])
        assert rows[name][6] == counts["luts"]
    assert rows["Accelerator"][5] == 100
    with pytest.raises(InputError, match="areas must be of huge, not only of small int16"):
        energy_and_area.area_table(area, "huge")


def test_measured_causes_add_up_to_all_cycles():
    causes = speed.measured_causes(Documents.read().utilization)
    assert causes
    for label, shares in causes:
        assert label.split(",")[0] in ("forward", "input gradient", "weight gradient")
        assert sum(shares.values()) == pytest.approx(100, abs=0.3)
        assert shares["utilization"] > 50


def test_the_summary_counts_what_was_measured_in_rtl():
    rows = [
        {"by": "RTL", "mismatches": 2, "cycles": 5, "model_cycles": 5},
        {"by": "RTL", "mismatches": 0, "cycles": 5, "model_cycles": 6},
        {"by": "model", "mismatches": None, "cycles": None, "model_cycles": 6},
    ]
    assert measured_summary({"passes": rows}) == (2, 2, 1)
    passes, mismatches, differing = measured_summary(Documents.read().utilization)
    assert passes > 0
    assert (mismatches, differing) == (0, 0)


def test_errors_are_worked_out_from_cycles():
    def step(title, trace, analytic):
        of = {"forward": trace, "input-grad": trace, "weight-grad": trace}
        mode = {"forward": analytic, "input-grad": analytic, "weight-grad": analytic}
        return {
            **{"title": title, "method": "swat", "passes": 3, "how": "model"},
            "trace": {"all": 3 * trace, **of},
            "analytic": {"all": 3 * analytic, **mode},
        }

    errors = {"steps": [step("resnet20", 1000, 1015), step("vgg", 1000, 980)]}
    totals, by_pass = error_tables(errors)
    assert totals.header[-1] == "analytic, %"
    assert [row[-1] for row in totals.rows] == pytest.approx([1.5, -2.0])
    assert [row[1] for row in by_pass.rows[:3]] == ["forward", "input-grad", "weight-grad"]
    assert largest_errors(errors) == {"analytic": pytest.approx(2.0)}
    assert largest_errors(None) == largest_errors({"steps": []}) == {}
    assert error_tables(None) == []


def test_rivals_are_compared_where_all_passes_have_them(swat, resprop):
    assert other_accelerators.rival_names([swat, resprop]) == list(RIVAL_FACTORS)
    section = other_accelerators.rivals_section(
        [swat, resprop], {"ideal": "Ideal bound"}, {"ideal": "None."}
    )
    rows = table(section, "rivals").rows
    header = table(section, "rivals").header
    assert header[2:] == ("dense", "scnn+", "ant", "Ideal bound")
    assert rows[0][3:] == pytest.approx((6.0, 2.0, 0.5))
    assert rows[-1][:2] == ("geometric mean", "training")
    assert "**Ideal bound**: None." in words(section)


def test_sections_say_what_a_mode_does_not_count():
    case = smaller(cases.SWAT_80)
    bare = Estimated.of(case, made_up_row(case, counted=False))
    assert "does not compute other" in words(other_accelerators.rivals_section([bare], {}, {}))
    section = energy_and_area.energy_section([bare], bare.config, Documents.read().area)
    assert "needs the accesses" in words(section)
    assert pass_rows(bare.row)[0].accesses is None
