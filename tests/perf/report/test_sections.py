"""What the sections say is what the rows hold, summed by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from gscn.conv import Pass
from perf import energy, memory
from perf.report import cases, contest, hierarchy, joules, published, speed, verdict
from perf.report.build import Documents
from perf.report.documents import read_tables
from perf.report.evidence import error_tables, largest_errors, measured_summary
from perf.report.page import Items, Paragraph, Table
from perf.report.rows import GROUPS, pass_rows, touched_share
from perf.report.speed import Estimated
from tests.estimates import RIVAL_FACTORS, UTILIZATION, made_up_row, smaller

DOCS = Path(__file__).resolve().parents[3] / "docs"


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
    claims = verdict.swat_claims({cases.SWAT_90.key: swat})
    assert [claim.figure.key for claim in claims] == ["swat-forward-90", "swat-backward-90"]
    assert claims[0].ours == swat.speedup("forward")
    assert claims[0].ratio == pytest.approx(swat.speedup("forward") / 5.6)
    section = verdict.verdict_section(claims, ["something"])
    text = words(section)
    for claim in claims:
        assert f"{claim.what}: the products left allow" in text
        assert claim.baseline in text
        assert claim.figure.baseline in text
    assert "Not computed: something" in text


def test_the_mean_over_scnn_needs_all_five_networks(swat):
    own = {case.key: swat for case in cases.ANT_CASES}
    (claim,) = verdict.scnn_claims(own)
    assert claim.ours == pytest.approx(RIVAL_FACTORS["scnn+"])
    assert claim.figure.value == 3.71
    assert "our ANT-style is 3.0x there" in claim.terms
    own.pop(cases.ANT_CASES[0].key)
    assert verdict.scnn_claims(own) == []


def test_every_published_figure_says_what_it_is_over_and_where_it_stands():
    assert len(published.BY_KEY) == len(published.FIGURES)
    for figure in published.FIGURES:
        assert figure.baseline
        assert figure.source
        assert figure.value > 0
    assert published.GTX_1080_TI.bytes_per_cycle_and_lane == pytest.approx(484e9 / 1582e6 / 3584)


def test_dram_slows_both_and_a_buffer_helps(swat):
    endless = hierarchy.limited_speedup(swat.passes, math.inf, 0)
    assert endless == pytest.approx(swat.speedup("training"))
    share = hierarchy.gtx_share(swat.config.multipliers)
    values = [hierarchy.limited_speedup(swat.passes, share, size) for size in hierarchy.BUFFERS]
    assert values == sorted(values)
    assert values[0] < values[-1]
    # At least 20 bytes per cycle at the ports and 5.46 of DRAM: everything waits for DRAM.
    assert hierarchy.dram_bound_share(swat.passes, share, 0) == pytest.approx(1)
    ours = sum(p.ports.total_bytes / share for p in swat.passes)
    dense = sum(max(p.dense_cycles, p.dense_traffic.total_bytes / share) for p in swat.passes)
    assert values[0] == pytest.approx(dense / ours)


def test_a_buffer_counts_where_it_holds_the_smaller_operand(swat):
    p = swat.passes[5]
    assert p.dram_bytes(p.resident_bytes - 1) == p.ports.total_bytes
    assert p.dram_bytes(p.resident_bytes) == min(p.ports.total_bytes, p.compressed.total_bytes)


def test_energy_is_the_sum_over_passes(swat):
    ours = joules.network_energy(swat)
    by_hand = sum(
        sum(energy.energy(swat.config, energy.Accesses(**p.accesses)).values()) for p in swat.passes
    )
    assert sum(ours.values()) == pytest.approx(by_hand * 1e-9)
    assert list(ours) == list(energy.COMPONENTS)
    buffered = joules.network_energy(swat, buffer_bytes=joules.BUFFER_BYTES)
    assert buffered["DRAM"] < ours["DRAM"]
    assert buffered["buffer"] > ours["buffer"] == 0


def test_area_is_that_of_the_document():
    area = joules.area_table(read_tables(DOCS / "area.md"), "small int16")
    rows = {row[0]: row for row in area.rows}
    text = (DOCS / "area.md").read_text(encoding="utf-8")
    block = text.split("## small int16", 1)[1]
    for name, row in rows.items():
        (line, *_) = (line for line in block.splitlines() if line.startswith(f"| {name} |"))
        assert f"| {row[3]:,.0f} |" in line


def test_measured_causes_add_up_to_all_cycles():
    causes = speed.measured_causes(read_tables(DOCS / "utilization.md"))
    assert [label.split(",")[0] for label, _ in causes] == [
        "forward", "input gradient", "weight gradient"
    ]  # fmt: skip
    for _, shares in causes:
        assert sum(shares.values()) == pytest.approx(100, abs=0.3)
        assert shares["utilization"] > 50


def test_the_summary_of_what_was_measured_counts_the_rows():
    tables = read_tables(DOCS / "utilization.md")
    passes, mismatches, differing = measured_summary(tables)
    assert passes == len(tables[0].rows) > 0
    assert (mismatches, differing) == (0, 0)


def test_errors_are_shown_as_their_command_wrote_them(tmp_path):
    (tmp_path / "model-error.md").write_text(
        "# Errors\n\n| step | analytic, % |\n|---|---|\n| resnet20 | +1.5 |\n| vgg | -2.0 |\n"
    )
    tables = read_tables(tmp_path / "model-error.md")
    (shown,) = error_tables(tables)
    assert shown.caption == "Errors (docs/model-error.md)."
    assert shown.rows == (("resnet20", 1.5), ("vgg", -2.0))
    assert largest_errors(tables) == {"analytic": 2.0}
    assert largest_errors(()) == {}
    assert Documents.read(DOCS).area


def test_rivals_are_compared_where_all_passes_have_them(swat, resprop):
    assert contest.rival_names([swat, resprop]) == list(RIVAL_FACTORS)
    section = contest.rivals_section([swat, resprop], {"ideal": "Ideal bound"}, {"ideal": "None."})
    rows = table(section, "rivals").rows
    header = table(section, "rivals").header
    assert header[2:] == ("dense", "scnn+", "ant", "Ideal bound")
    assert rows[0][3:] == pytest.approx((6.0, 2.0, 0.5))
    assert rows[-1][:2] == ("geometric mean", "training")
    assert "**Ideal bound**: None." in words(section)


def test_sections_say_what_a_mode_does_not_count():
    case = smaller(cases.SWAT_80)
    bare = Estimated.of(case, made_up_row(case, counted=False))
    assert "does not compute other" in words(contest.rivals_section([bare], {}, {}))
    section = joules.energy_section([bare], bare.config, read_tables(DOCS / "area.md"))
    assert "needs the accesses" in words(section)
    assert pass_rows(bare.row)[0].accesses is None
