"""nextpnr's report, and what happens when nextpnr is missing."""

import json
import shutil
import sysconfig

import pytest

from gscn.errors import InputError
from gscn.rtl_gen.place import PACKAGE, Placement, median, nextpnr_version, parse_report, place


def hop(start, end):
    return {"from": {"cell": start, "port": "Q"}, "to": {"cell": end, "port": "A"}, "delay": 1.5}


def report(**changes):
    entry = {"from": "posedge clk", "to": "posedge clk", "path": [hop("a", "b"), hop("b", "c")]}
    inputs = {"from": "<async>", "to": "posedge clk", "path": [hop("pin", "c")]}
    whole = {
        "fmax": {"clk": {"achieved": 61.73, "constraint": 100.0}},
        "critical_paths": [inputs, entry],
    }
    return json.dumps(whole | changes)


def test_frequency_and_ends_of_the_critical_path_are_read():
    expected = Placement(frequency_mhz=61.73, path_from="a", path_to="c")
    assert parse_report(report()) == expected


@pytest.mark.parametrize(
    ("reached", "middle"), [([70.0], 70.0), ([90.0, 70.0, 80.0], 80.0), ([90.0, 70.0], 70.0)]
)
def test_a_median_is_of_one_placement_and_says_of_how_many(reached, middle):
    placements = [Placement(frequency_mhz=mhz, path_from=f"a{mhz}", path_to="b") for mhz in reached]
    assert median(placements) == Placement(
        frequency_mhz=middle, path_from=f"a{middle}", path_to="b", seeds=len(reached)
    )


def test_a_design_of_two_clocks_is_refused():
    clocks = {name: {"achieved": 1.0, "constraint": 1.0} for name in ("a", "b")}
    with pytest.raises(InputError, match="must have one clock, not 2"):
        parse_report(report(fmax=clocks))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", report(critical_paths=[]), report(fmax={"clk": {}})]
)
def test_other_text_is_refused(text):
    with pytest.raises(InputError, match="report must be nextpnr's"):
        parse_report(text)


def test_missing_nextpnr_names_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    for call in (nextpnr_version, lambda: place("module top; endmodule", "top")):
        with pytest.raises(InputError, match=f"{PACKAGE}, which is not installed: run `make synth"):
            call()
