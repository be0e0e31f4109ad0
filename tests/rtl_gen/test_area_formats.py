"""Number formats are compared with the first, and share one multiplier."""

from __future__ import annotations

import pytest

from gscn.array import ARRAYS
from gscn.errors import InputError
from gscn.rtl_gen.area_formats import FormatReport, formats_table, measure_formats, with_formats
from gscn.rtl_gen.area_text import to_markdown
from gscn.rtl_gen.synthesis import Counts

CONFIG = ARRAYS["tiny"]


def counts(scale=1, **changes):
    numbers = {"gates": 100, "flip_flops": 10, "multipliers": 1, "memory_bits": 64}
    numbers = {name: scale * value for name, value in numbers.items()}
    return Counts(**(numbers | {"multiplier_gates": 40 * scale} | changes))


def test_number_formats_are_named_with_plus_signs():
    config = with_formats(CONFIG, "int8+bf16+fp16")
    assert (config.operand_format, config.float_formats) == ("int8", "bf16,fp16")
    assert with_formats(config, "int16") == CONFIG
    with pytest.raises(InputError, match="float_formats must be empty or some of bf16"):
        with_formats(CONFIG, "int16+int8")


def test_formats_are_compared_with_the_first():
    reports = [
        FormatReport(
            formats=formats,
            config=with_formats(CONFIG, formats),
            parts={"PE": counts(area=area), "Walker": counts(area=7.0)},
            cell_delay_ns=7.5,
            placement=None,
        )
        for formats, area in (("int16", 200.0), ("int16+bf16", 250.0))
    ]
    head, rows = formats_table(reports)
    told = [dict(zip(head, row, strict=True)) for row in rows]
    assert [row["of the first"] for row in told] == ["100.0 %", "125.0 %"]
    assert [row["Walker (um2)"] for row in told] == [7.0, 7.0]
    assert [row["Accumulator (um2)"] for row in told] == [None, None]
    assert [row["flip-flops"] for row in told] == [10, 10]
    text = to_markdown([], {}, reports)
    assert "| int16+bf16 | 250 | 125.0 % | 7 | - | 10 | 64 | 100 | 1 |" in text
    with pytest.raises(InputError, match="formats must be at least one set"):
        formats_table([])


@pytest.mark.slow
def test_a_pe_with_float_formats_has_one_multiplier():
    plain, floats = measure_formats(CONFIG, ["int16", "int16+bf16+fp16+fp8_e4m3"])
    assert [one.parts["PE"].multipliers for one in (plain, floats)] == [1, 1]
    grown = floats.parts["Accumulator"].memory_bits - plain.parts["Accumulator"].memory_bits
    assert grown == 2 * 2 * CONFIG.acc_depth  # two special bits beside the sums of two banks
