"""Markdown of the reports: tables as text, from plain values and back."""

from __future__ import annotations

import json

from benchmarks.markdown import percent, table, table_block, text_of


def test_a_table_has_a_rule_under_its_header():
    assert table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_blocks_come_back_from_json_as_the_same_text():
    blocks = ["# Title\n", table_block(("a",), (row for row in (("1",), ("2",)))), " end"]
    text = text_of(blocks)
    assert text == "# Title\n\n| a |\n| --- |\n| 1 |\n| 2 |\n\nend\n"
    assert text_of(json.loads(json.dumps(blocks))) == text


def test_shares_are_percentages_with_one_decimal():
    assert [percent(share) for share in (0.1234, 1.0, 0)] == ["12.3 %", "100.0 %", "0.0 %"]
