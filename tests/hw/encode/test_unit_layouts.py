"""Shapes that parts of the encode unit share, against the records that they come from."""

from __future__ import annotations

from gscn.array import array
from gscn.encode import ENCODE_DESCRIPTOR, ENCODE_STATE
from gscn.hw.encode.unit_layouts import _WALKED, TALLY, settings_layout


def test_a_field_of_a_descriptor_is_walked_or_held_or_reserved():
    held = set(settings_layout(array("small")).members)
    names = {field.name for field in ENCODE_DESCRIPTOR.fields}
    assert set(_WALKED) < names
    assert held.isdisjoint(_WALKED)
    assert {name for name in names - held - set(_WALKED) if not name.startswith("reserved")} == (
        set()
    )


def test_a_range_may_end_behind_the_last_address():
    config = array("small")
    held = settings_layout(config).members
    assert held["t0_addr"].width == config.addr_width
    assert held["t0_end"].width == config.addr_width + 1


def test_counts_are_as_wide_as_in_a_state():
    widths = {field.name: field.width for field in ENCODE_STATE.fields}
    assert {name: shape for name, shape in TALLY.members.items()} == {
        name: widths[name] for name in TALLY.members
    }
