"""Texts quote figures by name, in one form that nothing else has."""

from __future__ import annotations

import pytest

from benchmarks import quotes
from gscn.errors import InputError

TEXT = "It is <!-- = page.mean -->1 %<!-- / --> of <!-- = other-page.all -->\n2<!-- / -->."


def test_quoted_figures_are_filled_in_and_the_rest_is_kept():
    filled = quotes.fill(TEXT, lambda page, name: f"{page}/{name}")
    assert filled == (
        "It is <!-- = page.mean -->page/mean<!-- / --> of "
        "<!-- = other-page.all -->other-page/all<!-- / -->."
    )
    assert quotes.fill(filled, lambda page, name: f"{page}/{name}") == filled
    assert quotes.quoted(TEXT) == [("page", "mean", "1 %"), ("other-page", "all", "\n2")]
    assert quotes.fill("no figure <!-- a comment -->", lambda *_: "1") == (
        "no figure <!-- a comment -->"
    )


@pytest.mark.parametrize(
    "text",
    [
        "<!-- = page.mean -->1 %",
        "<!-- = page -->1 %<!-- / -->",
        "<!-- =page.mean -->1 %<!-- / -->",
        "<!-- = page.mean.x -->1 %<!-- / -->",
        "<!-- = a.b -->1<!-- / --> <!-- = c -->2<!-- / -->",
    ],
)
def test_a_quotation_of_another_form_is_refused(text):
    with pytest.raises(InputError, match="every quotation must read"):
        quotes.fill(text, lambda *_: "1")
