"""What bursts say besides where they go."""

import pytest

from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.errors import InputError


def test_by_default_memory_is_normal_not_cacheable_and_bufferable():
    expected = {"id": 0, "prot": 0, "read_cache": 0b0011, "write_cache": 0b0011}
    assert DEFAULT_AXI.to_dict() == expected


@pytest.mark.parametrize("cache", range(16))
def test_reserved_cacheabilities_are_refused(cache):
    if cache in (0b0100, 0b0101, 0b1000, 0b1001, 0b1100, 0b1101):
        with pytest.raises(InputError, match=r"read_cache must not allocate .*0b[01]{4}"):
            AxiAttributes(read_cache=cache)
    else:
        assert AxiAttributes(write_cache=cache).write_cache == cache


def test_all_problems_are_named_at_once():
    with pytest.raises(InputError) as error:
        AxiAttributes(id=1 << 16, prot=-1, read_cache=True, write_cache=16)
    for field in ("id", "prot", "read_cache", "write_cache"):
        assert f"{field} must be a whole number" in str(error.value)
