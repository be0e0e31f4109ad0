"""Sizes of an array are checked all at once, and derived widths are right."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.array import ARRAYS, ArrayConfig, array
from gscn.errors import InputError


def test_presets_have_the_multipliers_that_they_say():
    assert {name: one.multipliers for name, one in ARRAYS.items()} == {
        "tiny": 4, "small": 16, "large": 64,
    }  # fmt: skip
    assert array("large") == ArrayConfig()


def test_an_unknown_array_is_refused():
    with pytest.raises(InputError, match="array must be one of tiny, small, large, not 'big'"):
        array("big")


def test_derived_widths():
    large = ArrayConfig()
    assert (large.index_width, large.key_width, large.entry_width) == (12, 12, 12)
    assert (large.mem_bytes, large.value_width) == (64, 16)
    slices = dataclasses.replace(large, clusters=6, ports=4).port_slices
    assert [[*one] for one in slices] == [[0, 1], [2], [3, 4], [5]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clusters", 0), ("clusters", 65), ("pes", 3), ("stationary_depth", 8),
        ("directory_depth", 100), ("chunks_depth", 2), ("acc_depth", 2305), ("drain_width", 16),
        ("word_depth", 1), ("fiber_depth", 65), ("job_depth", 9), ("acc_width", 30),
        ("operand_format", "int4"), ("float_formats", "bf32"), ("mem_width", 128),
        ("burst_beats", 3), ("read_fifo_beats", 4), ("outstanding_bursts", 0),
        ("addr_width", 41), ("ports", 3), ("pes", "4"),
    ],
)  # fmt: skip
def test_what_is_out_of_range_is_named(field, value):
    with pytest.raises(InputError, match=field):
        ArrayConfig(**{field: value})


def test_all_problems_are_named_at_once():
    with pytest.raises(InputError, match=r"(?s)pes.*clusters"):
        ArrayConfig(pes=5, clusters=99)


EVERY = list(ARRAYS.values())


@pytest.mark.parametrize("config", EVERY)
def test_a_mapping_of_all_fields_gives_the_same_configuration(config):
    fields = config.to_dict()
    assert list(fields) == [field.name for field in dataclasses.fields(config)]
    assert type(config).from_dict(fields) == config


@pytest.mark.parametrize("config", EVERY)
def test_overrides_change_what_they_name_and_nothing_else(config):
    changed = config.with_overrides(["clusters=0x3", "operand_format=int8"])
    assert type(changed) is type(config)
    fields = {**config.to_dict(), "clusters": 3, "operand_format": "int8"}
    assert changed.to_dict() == fields
    assert config.with_overrides([]) == config


def test_every_bad_override_is_named():
    with pytest.raises(InputError) as failure:
        ArrayConfig().with_overrides(["clusters", "nothing=1", "acc_width=wide"])
    for part in ("field=value, not 'clusters'", "'nothing'", "acc_width", "'wide'"):
        assert part in str(failure.value)
    with pytest.raises(InputError, match="unknown field 'nothing'"):
        ArrayConfig.from_dict({"nothing": 1})


def test_digests_differ_with_any_field():
    digests = {config.digest() for config in EVERY}
    assert len(digests) == len(EVERY)
    config = ArrayConfig()
    assert dataclasses.replace(config, ports=2).digest() != config.digest()
    assert dataclasses.replace(config, clusters=3).digest() != config.digest()
