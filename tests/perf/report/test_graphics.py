"""The comparison with a GPU says what its document says."""

from __future__ import annotations

from pathlib import Path

import pytest

from gscn.errors import InputError
from perf.report import graphics
from perf.report.graphics import GpuDocument
from perf.report.page import Figure, Paragraph, Table

DOCS = Path(__file__).resolve().parents[3] / "docs"


@pytest.fixture(scope="module")
def document():
    return GpuDocument.read(DOCS / "gpu.md")


def test_claims_are_those_of_the_document(document):
    text = (DOCS / "gpu.md").read_text(encoding="utf-8")
    claims = graphics.claims(document)
    assert [claim.figure.key for claim in claims] == [
        "resprop-resnet34", "resprop-resnet34", "resprop-vgg16", "resprop-vgg16"
    ]  # fmt: skip
    for claim in claims:
        assert f"| {claim.ours:.2f} |" in text
    published = {claim.figure.key: claim.figure.value for claim in claims}
    for name in ("resnet34", "vgg16"):
        assert float(document.equal.row(name)["published"]) == published[f"resprop-{name}"]
    assert "the products alone allow" in claims[0].bound


def test_the_section_states_the_terms_and_shows_every_network(document):
    section = graphics.gpu_section(document)
    words = [part.words for part in section.content if isinstance(part, Paragraph)]
    assert "ReSprop at 90 %" in " ".join(words)
    assert "](" not in " ".join(words)
    table = next(part for part in section.content if isinstance(part, Table))
    assert [row[0] for row in table.rows] == list(graphics.TITLES.values())
    published = {row[0]: row[table.header.index("published")] for row in table.rows}
    assert published == {"ResNet-18": None, "ResNet-34": 8.0, "ResNet-50": None, "VGG-16": 7.2}
    for part in section.content:
        if isinstance(part, Figure):
            assert part.draw(760, "wide").count("ResNet-34") > 1


def test_shares_of_our_time_add_up(document):
    for name in document.shares.column("network"):
        shares = graphics._values(document.shares.row(name))
        assert sum(shares.values()) == pytest.approx(100, abs=0.4)


def test_another_document_is_refused(tmp_path):
    (tmp_path / "gpu.md").write_text("# A\n\n| a |\n|---|\n| 1 |\n")
    with pytest.raises(InputError, match="must have 4 tables, not 1"):
        GpuDocument.read(tmp_path / "gpu.md")
