"""The configuration refuses what cannot be built and its digest identifies it."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.config import PRESETS, AcceleratorConfig, preset
from gscn.errors import InputError

OTHER = {
    "operand_format": "int8",
    "mem_width": 256,
    "acc_width": 40,
    "addr_width": 36,
    "float_formats": "bf16",
}
"""A second legal value for the fields whose default cannot simply be doubled."""


def test_every_problem_is_named_at_once():
    with pytest.raises(InputError) as caught:
        AcceleratorConfig(clusters=0, pes_per_cluster=3, acc_width=64, operand_format="fp7")
    message = str(caught.value)
    assert message.startswith("configuration: ")
    for problem in (
        "clusters must be 1 to 256, not 0",
        "pes_per_cluster must be a power of two from 1 to 8, not 3",
        "acc_width must be 24 to 48 and at least twice the operand's width, not 64",
        "operand_format must be one of int16, int8, not 'fp7'",
    ):
        assert problem in message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clusters", 257),
        ("pes_per_cluster", 16),
        ("a_depth", 1000),
        ("a_depth", 4),
        ("directory_depth", 65536),
        ("taps_depth", 512),
        ("b_fifo_depth", 1),
        ("match_fifo_depth", 65),
        ("acc_depth", 8),
        ("acc_width", 31),
        ("operand_format", "int32"),
        ("mem_width", 96),
        ("mem_width", 64),
        ("burst_beats", 3),
        ("read_fifo_beats", 4),
        ("addr_width", 41),
        ("ports", 3),
        ("ports", 16),
        ("axi_id_width", 0),
        ("float_formats", "fp7"),
        ("float_formats", "bf16,"),
        ("float_formats", "bf16,bf16"),
        ("float_formats", 16),
        ("clusters", 2.0),
        ("clusters", True),
        ("clusters", "8"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field, value):
    with pytest.raises(InputError) as caught:
        AcceleratorConfig(**{field: value})
    assert f"{field} must be " in str(caught.value)
    assert f"not {value!r}" in str(caught.value)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(AcceleratorConfig)])
def test_the_digest_changes_with_every_field(field):
    base = AcceleratorConfig()
    value = getattr(base, field)
    changed = dataclasses.replace(base, **{field: OTHER.get(field) or value * 2})
    assert changed.digest() != base.digest()
    assert dataclasses.replace(changed, **{field: value}).digest() == base.digest()


def test_the_digest_is_sixteen_hexadecimal_digits_and_survives_a_round_trip():
    config = preset("tiny")
    assert int(config.digest(), 16) >= 0
    assert len(config.digest()) == 16
    assert AcceleratorConfig.from_dict(config.to_dict()) == config


def test_presets_differ_and_have_the_stated_multipliers():
    assert len({config.digest() for config in PRESETS.values()}) == len(PRESETS)
    assert {name: config.multipliers for name, config in PRESETS.items()} == {
        "tiny": 4,
        "small": 16,
        "large": 64,
    }


def test_derived_sizes():
    config = AcceleratorConfig(mem_width=256, clusters=3, pes_per_cluster=4)
    assert (config.multipliers, config.mem_bytes, config.chunks_per_beat) == (12, 32, 4)
    assert (config.format.minimum, config.format.maximum) == (-32768, 32767)


@pytest.mark.parametrize(
    ("clusters", "ports", "sizes"),
    [(8, 1, [8]), (8, 4, [2] * 4), (3, 2, [2, 1]), (5, 4, [2, 1, 1, 1])],
)
def test_each_port_serves_consecutive_clusters(clusters, ports, sizes):
    config = AcceleratorConfig(clusters=clusters, ports=ports)
    assert [len(served) for served in config.port_slices] == sizes
    assert [n for served in config.port_slices for n in served] == list(range(clusters))
    assert config.port_bytes_per_cycle == ports * 64


def test_digests_written_before_there_were_ports_stay_valid():
    # what `gscn cosim --out` wrote into its results then
    assert PRESETS["tiny"].digest() == "368646cfd1e232eb"


def test_float_formats_are_a_set():
    config = preset("tiny").with_overrides(["float_formats=fp16,bf16"])
    assert config == dataclasses.replace(preset("tiny"), float_formats="bf16,fp16")
    assert [fmt.name for fmt in config.floats] == ["bf16", "fp16"]
    assert config.value_width == 16
    assert preset("tiny").floats == ()
    small = dataclasses.replace(preset("tiny"), operand_format="int8", float_formats="fp8_e5m2")
    assert small.value_width == 8
    assert dataclasses.replace(small, float_formats="bf16").value_width == 16


def test_unknown_fields_are_all_named():
    with pytest.raises(InputError, match=r"unknown field 'cluster'.*unknown field 'pes'"):
        AcceleratorConfig.from_dict({"cluster": 8, "pes": 2})


def test_an_unknown_preset_is_refused():
    with pytest.raises(InputError, match="one of tiny, small, large, not 'huge'"):
        preset("huge")


def test_overrides_are_applied():
    config = preset("small").with_overrides(["clusters=0x10", "operand_format=int8"])
    assert config == dataclasses.replace(preset("small"), clusters=16, operand_format="int8")
    assert preset("small").with_overrides([]) == preset("small")


def test_bad_overrides_are_all_named():
    with pytest.raises(InputError) as caught:
        preset("small").with_overrides(["clusters", "depth=2", "a_depth=many"])
    for problem in (
        "override must read field=value, not 'clusters'",
        "unknown field 'depth'",
        "a_depth must be a whole number, not 'many'",
    ):
        assert problem in str(caught.value)


def test_an_override_is_checked_like_any_value():
    with pytest.raises(InputError, match="clusters must be 1 to 256, not 0"):
        preset("small").with_overrides(["clusters=0"])
