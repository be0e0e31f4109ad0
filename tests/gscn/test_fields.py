"""Configurations as text, mapping and digest."""

import dataclasses

import pytest

from gscn.array import ARRAYS, ArrayConfig
from gscn.errors import InputError

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
