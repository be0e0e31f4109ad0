"""The text of a step with everything has what its JSON has, or why there is none."""

from __future__ import annotations

from gscn.command.step_text import whole_rows, whole_step

PASS = {"passes": 3, "cycles": 2e6, "exposed": 1e6, "read_bytes": 5e6, "write_bytes": 7e6}
MACHINE = {
    "cycles": 11e6,
    "in_series_cycles": 12e6,
    "convolutions": PASS | {"cycles": 9e6},
    "encode_passes": {"weight update": PASS},
}
STEP = {
    "refused": None,
    "refresh_period": 10,
    "cycles": 11e6,
    "exposed_share": 0.25,
    "selection_share": 0.125,
    "speedup_with_operands": 4.0,
    "speedup_with_everything": 3.0,
    "ours": MACHINE,
    "selecting": None,
    "dense": MACHINE | {"cycles": 33e6},
}


def test_totals_are_in_percent_and_million_cycles():
    assert [value for _, value in whole_rows(STEP)] == [4.0, 3.0, 11.0, 25.0, 12.5]


def test_every_machine_has_its_passes_by_kind_and_its_step():
    rows = [" ".join(line.split()) for line in whole_step(STEP).splitlines()]
    for row in (
        "ours convolutions 3 9 - 5 7",
        "ours weight update 3 2 1 5 7",
        "ours step, two queues - 11 - - -",
        "ours step, in series - 12 - - -",
        "dense array step, two queues - 33 - - -",
    ):
        assert row in rows
    assert not any("1 of 10" in row for row in rows)
    selecting = whole_step(STEP | {"selecting": MACHINE})
    assert "ours, 1 of 10" in selecting


def test_a_step_without_a_list_says_why_it_has_no_figure():
    refused = {"refused": "no place for 1 of 2 operations"}
    assert whole_rows(refused) == []
    assert whole_step(refused) == "Step with everything: no figure.\nno place for 1 of 2 operations"
