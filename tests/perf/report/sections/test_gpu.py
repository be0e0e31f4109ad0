"""The comparison with a GPU says what its figures say."""

from __future__ import annotations

import pytest

from gscn.perf.report.data.measured import Documents
from gscn.perf.report.drawing.page import Figure, Paragraph, Table
from gscn.perf.report.sections import gpu


@pytest.fixture(scope="module")
def figures():
    return Documents.read().gpu


def test_claims_are_those_of_the_figures(figures):
    claims = gpu.claims(figures)
    assert [claim.figure.key for claim in claims] == [
        "resprop-resnet34", "resprop-resnet34", "resprop-vgg16", "resprop-vgg16"
    ]  # fmt: skip
    for index, key in enumerate(("resnet34", "vgg16")):
        target, nominal = claims[2 * index : 2 * index + 2]
        assert target.ours == figures["backward"][key]["speedup"]
        assert nominal.ours == figures["nominal"][key]["speedup"]
        assert target.figure.value == nominal.figure.value == figures["published"][key]
    assert "the products alone allow" in claims[0].bound


def test_the_section_states_the_terms_and_shows_every_network(figures):
    section = gpu.gpu_section(figures)
    words = [part.words for part in section.content if isinstance(part, Paragraph)]
    assert "ReSprop at 90 %" in " ".join(words)
    assert "](" not in " ".join(words)
    table = next(part for part in section.content if isinstance(part, Table))
    assert [row[0] for row in table.rows] == list(gpu.TITLES.values())
    published = {row[0]: row[table.header.index("published")] for row in table.rows}
    assert published == {"ResNet-18": None, "ResNet-34": 8.0, "ResNet-50": None, "VGG-16": 7.2}
    for part in section.content:
        if isinstance(part, Figure):
            assert part.draw(760, "wide").count("ResNet-34") > 1


def test_shares_of_our_time_add_up(figures):
    for row in figures["backward"].values():
        assert sum(row["shares"].values()) == pytest.approx(1)
