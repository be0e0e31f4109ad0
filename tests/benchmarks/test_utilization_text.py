"""The text of the page has every iteration, names bounds and leaves out nothing that is worst."""

from __future__ import annotations

import pytest

from benchmarks import tracing, utilization_text
from benchmarks.step_figures import SPARSE, decoded, together
from tests.benchmarks.made_passes import DATA, ITERATIONS, ROWS, data, in_rtl, step

TEXT = utilization_text.render(DATA)


def cells(text, *beginning):
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    (found,) = (line for line in lines if line[: len(beginning)] == list(beginning))
    return found


def section(text, title):
    """Return the part of a page below a title."""
    (found,) = (part for part in text.split("\n## ") if part.startswith(f"{title}\n"))
    return found


def test_every_iteration_has_a_row():
    found = section(TEXT, "Iteration by iteration")
    for iteration in ITERATIONS:
        row = cells(found, str(iteration))
        own = [one for one in decoded(DATA) if one["iteration"] == iteration]
        assert row[2:6] == [
            f"{1000 * iteration:,}", "5", "5,000", f"{100 * together(own, 64):.1f} %"
        ]  # fmt: skip
        assert row[6] == "95.0 %"
    marked = [line for line in found.splitlines() if "| sparse |" in line]
    assert len(marked) == SPARSE


def test_the_least_iteration_is_named():
    rows = decoded(DATA)
    worst = min(
        ITERATIONS,
        key=lambda one: together([r for r in rows if r["iteration"] == one], 64),
    )
    assert worst == 227
    assert cells(TEXT, "the iteration with least, 227")


def test_slow_3x3_gradients_are_listed_with_bound_and_loss():
    found = section(TEXT, "Gradients of 3x3 kernels in sparse iterations")
    assert "least 40.0 %, 1 below 65.0 %" in found
    assert cells(found, "conv", "input-grad", "227")[5:] == [
        "40.0 %", "multipliers", "40.0 %", "load, 30.0 %"
    ]  # fmt: skip


def test_1x1_passes_below_four_fifths_of_their_bound_are_listed():
    found = section(TEXT, "1x1 kernels")
    assert "24 passes, bounded 12 by the multipliers, 12 by the read port" in found
    listed = [line for line in found.splitlines() if line.startswith("| short")]
    assert len(listed) == 12
    assert all("weight-grad" in line for line in listed)


def test_bytes_are_by_pass_and_buffer():
    found = section(TEXT, "Bytes")
    assert cells(found, "all")[2:] == ["4.00", "3.10", "2.20", "1.30", "1.050", "1.050"]


@pytest.mark.parametrize(("passes", "said"), [(10, "Wholly"), (9, "With 9 of 10 passes")])
def test_a_part_in_rtl_is_not_called_whole(passes, said):
    rtl = [in_rtl(row) for one in (226, 237) for row in step(one)][:passes]
    found = section(utilization_text.render(data(ROWS, rtl)), "On the generated Verilog")
    assert f"{said} on the generated Verilog ran" in found
    assert cells(found, "226, sparse")[1:6] == ["5", "500", "0", "0", "5,050"]


def test_the_driver_is_said_to_read_no_element():
    found = section(TEXT, "The driver")
    assert "take 30 us" in found
    assert "272 to 320 bytes" in found
    assert "no element of a tensor" in found
    assert "`lowering/` has 2,300 lines" in found


def test_losses_are_by_kernel_and_pass():
    row = cells(section(TEXT, "Where the other cycles went"), "1x1", "weight-grad")
    assert row[2:4] == ["12", "45.0 %"]
    assert "27.5 %" in row


def test_iterations_are_named_unless_all_were_measured():
    assert "measured are 226, 227, 228," in TEXT.replace("\n", " ")
    rows = [row for iteration in tracing.iterations() for row in step(iteration)]
    assert "measured are all, 226 to 245, of these" in utilization_text.render(
        data(rows, [in_rtl(row) for one in (226, 237) for row in step(one)])
    )
