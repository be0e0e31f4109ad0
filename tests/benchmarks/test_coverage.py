"""What is covered of a design by hand: shares, waivers, and tests that fail."""

from __future__ import annotations

import pytest

from benchmarks import coverage
from benchmarks.coverage_machine import MACHINE_WAIVERS
from benchmarks.coverage_waivers import ALL, WAIVERS, Waiver, bits_of
from gscn.cosim.builds.coverage import VARIABLE
from gscn.cosim.coverage import LINE, TOGGLE, Point
from gscn.errors import InputError
from gscn.system.cache import VARIABLE as CACHE_VARIABLE
from tests.step_runs import CONFIG


def bit(component, place):
    return Point(component, "0", TOGGLE, place, place.partition("[")[0])


COUNTS = {
    Point("top", "0", LINE, "3.5: if", "if (en) begin"): 7,
    Point("top", "0", LINE, "3.6: else", "if (en) begin"): 0,
    bit("top", "addr[0]:0->1"): 2,
    bit("top", "addr[0]:1->0"): 1,
    bit("top", "addr[31]:0->1"): 0,
    bit("top", "addr[31]:1->0"): 0,
    bit("top.fifo", "level[0]:0->1"): 0,
    bit("top.fifo", "level[0]:1->0"): 3,
}


def part(*waivers, components=("*",), exact=False):
    return coverage.Part(
        name="array", designs=("b/gscn_top", "a/gscn_top"), files=("one", "two"),
        components=components, waivers=waivers, exact=exact, title="Array", what="Two.",
    )  # fmt: skip


HIGH = Waiver(TOGGLE, "top", "addr", ((24, 31),), "no memory is so large")


def both(data):
    """Return figures of the page, of which all parts have the same."""
    return {one.name: data for one in coverage.PARTS}


def test_shares_are_those_of_points_with_and_without_what_is_waived():
    data = coverage.figures(COUNTS, part(HIGH))
    assert data["designs"] == ["a/gscn_top", "b/gscn_top"]
    assert data["components"] == {
        "top": {
            LINE: {"covered": 1, "waived": 0, "missed": 1},
            TOGGLE: {"covered": 2, "waived": 2, "missed": 0},
        },
        "top.fifo": {
            LINE: {"covered": 0, "waived": 0, "missed": 0},
            TOGGLE: {"covered": 1, "waived": 0, "missed": 1},
        },
    }
    assert data["waivers"] == [
        {"kind": TOGGLE, "component": "top", "place": "addr", "bits": ((24, 31),),
         "why": "no memory is so large", "width": None, "points": 2}
    ]  # fmt: skip
    assert data["most"] == [["top", "if (en) begin", 1], ["top.fifo", "level", 1]]
    page = coverage.render(both(data))
    assert "| `top.fifo` | `level` | 1 |" in page
    assert "| **all** | 2 | 50.0 % | 50.0 % | 6 | 50.0 % | 75.0 % |" in page
    assert "| `top.fifo` | 0 | - | - | 2 | 50.0 % | 50.0 % |" in page
    assert "| `top` | `addr` 24 to 31 | 2 | no memory is so large |" in page
    assert (
        " ".join(page.split()).count("50.0 % of the lines, and 75.0 % of the changes of bits") == 2
    )
    assert [line for line in page.splitlines() if line.startswith("## ")] == [
        "## Array", "## Machine",
    ]  # fmt: skip
    figures = {"array-line": "50.0 %", "array-toggle": "75.0 %"}
    assert coverage.quoted(both(data)) == figures | {
        "machine-line": "50.0 %", "machine-toggle": "75.0 %",
    }  # fmt: skip


def test_components_that_are_no_part_do_not_count():
    data = coverage.figures(COUNTS, part(components=("top.*",)))
    assert [*data["components"]] == ["top.fifo"]
    assert data["most"] == [["top.fifo", "level", 1]]


@pytest.mark.parametrize(
    "waiver",
    [
        Waiver(TOGGLE, "top", "addr", ((0, 0),), "it is covered"),
        Waiver(TOGGLE, "top", "date", ((24, 31),), "there is none"),
        Waiver(TOGGLE, "top", "addr", ((32, 40),), "it has not so many"),
        Waiver(LINE, "top", "addr", ((24, 31),), "it is no line"),
        Waiver(TOGGLE, "top", "addr", ((24, 31),), "it is wider", 33),
        Waiver(TOGGLE, "top.?*", "addr", ((24, 31),), "it is of another component"),
    ],
)
def test_a_waiver_of_nothing_is_an_error(waiver):
    with pytest.raises(InputError, match=f"must match a point.*{waiver.why}"):
        coverage.figures(COUNTS, part(waiver))


def test_a_waiver_may_be_of_signals_of_a_width():
    waiver = Waiver(TOGGLE, "*", "*", ALL, "all of that width are the same", 32)
    data = coverage.figures(COUNTS, part(waiver))
    assert data["waivers"][0]["points"] == 2
    assert "| `*` | `*` of 32 bits | 2 | all of that width" in coverage.render(both(data))
    assert "| `top` | `addr` of 32 bits, 24 to 31 | 2 |" in coverage.render(
        both(coverage.figures(COUNTS, part(HIGH._replace(width=32))))
    )


def test_a_waiver_of_what_can_be_is_an_error_if_waivers_are_exact():
    coverage.figures(COUNTS, part(HIGH, exact=True))
    all_of_it = Waiver(TOGGLE, "top", "addr", ALL, "bit 0 is covered")
    coverage.figures(COUNTS, part(all_of_it))
    with pytest.raises(InputError, match=r"must match no point that is covered.*addr\[0\]"):
        coverage.figures(COUNTS, part(all_of_it, exact=True))


def test_a_waiver_of_a_line_is_by_its_text():
    always = Waiver(LINE, "*", "if (en) *", ALL, "it is always on")
    data = coverage.figures(COUNTS, part(always))
    assert data["components"]["top"][LINE] == {"covered": 1, "waived": 1, "missed": 0}
    assert "| `*` | line `if (en) *` | 1 | it is always on |" in coverage.render(both(data))


def test_a_waiver_takes_a_signal_whatever_number_is_behind_its_name():
    waiver = Waiver(TOGGLE, "top", "port", ALL, "all of them are the same")
    assert waiver.matches(bit("top", "port$2$516[3]:0->1"))
    assert waiver.matches(Point("top", "0", TOGGLE, "port:0->1", "port"))
    assert not waiver.matches(bit("top", "porter[3]:0->1"))


def test_every_waiver_has_a_reason_and_is_there_once():
    assert all(len(one.why.split()) > 3 for one in (*WAIVERS, *MACHINE_WAIVERS))
    for waivers in (WAIVERS, MACHINE_WAIVERS):
        places = [one._replace(why="") for one in waivers]
        assert len(set(places)) == len(places)


def test_tests_run_on_simulators_that_count_and_must_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "CACHE", tmp_path / "cache")
    old = tmp_path / "cache" / "configuration" / "sim-1" / "coverage" / "old.dat"
    old.parent.mkdir(parents=True)
    old.write_text("of a run before")
    test = tmp_path / "test_it.py"
    test.write_text(
        "import os\n"
        "def test_it():\n"
        f"    assert os.environ[{VARIABLE!r}] == '1'\n"
        f"    assert os.environ[{CACHE_VARIABLE!r}] == {str(tmp_path / 'cache')!r}\n"
    )
    coverage.run([str(test), "-p", "no:cacheprovider"])
    assert not old.exists()
    test.write_text("def test_it():\n    assert False\n")
    with pytest.raises(InputError, match=r"tests must pass .* pytest exited with 1"):
        coverage.run([str(test), "-p", "no:cacheprovider"])


def test_runs_of_bits_by_hand():
    assert bits_of(0) == ()
    assert bits_of(0b1011_0001) == ((0, 0), (4, 5), (7, 7))


def test_the_machine_is_that_of_the_tests_of_lists():
    assert coverage.MACHINE == CONFIG
