"""The page of areas: its configurations, and what texts quote."""

from __future__ import annotations

import pytest

from benchmarks import area
from benchmarks.pages import load
from gscn.rtl_gen.area_formats import with_formats


def test_configurations_are_named_by_size_and_format():
    found = area.configurations()
    assert list(found) == list(area.CONFIGS)
    assert found["small int8"].operand_format == "int8"
    assert found["small int16"].multipliers > found["tiny int16"].multipliers


@pytest.mark.parametrize("formats", area.FORMATS)
def test_formats_fit_the_first_configuration(formats):
    first = next(iter(area.configurations().values()))
    config = with_formats(first.with_overrides(["operand_format=int16"]), formats)
    assert config.operand_format == formats.split("+")[0]


def test_quoted_areas_are_those_of_the_components():
    counts = {"area": 1234.5}
    data = {
        "reports": [
            {
                "name": "tiny int16",
                "components": {"PE: Walker": counts, "Streamer": counts, "PE": {"area": None}},
                "clocks": [
                    {"component": "PE", "placement": {"frequency_mhz": 61.7}},
                    {"component": "Cluster", "placement": None},
                ],
            }
        ],
        "formats": [{"formats": "int16+bf16", "parts": {"PE": counts, "Walker": counts}}],
    }
    assert area.quotes(data) == {
        "tiny-int16-walker": "1,234",
        "tiny-int16-streamer": "1,234",
        "tiny-int16-pe-mhz": "62",
        "formats-int16-bf16": "1,234",
        "formats-int16-bf16-walker": "1,234",
    }


def test_the_record_has_what_is_quoted_of_every_configuration():
    quoted = area.quotes(load("area")["data"])
    for name in area.CONFIGS:
        assert f"{name.replace(' ', '-')}-array" in quoted
