"""What bursts say besides where they go."""

import pytest

from gscn.array import ARRAYS
from gscn.axi import DEFAULT_AXI, AxiAttributes
from gscn.errors import InputError


def test_by_default_memory_is_normal_not_cacheable_and_bufferable():
    expected = {"id": 0, "prot": 0, "read_cache": 0b0011, "write_cache": 0b0011, "addr_width": 0}
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
        AxiAttributes(id=1 << 16, prot=-1, read_cache=True, write_cache=16, addr_width=65)
    for field in ("id", "prot", "read_cache", "write_cache", "addr_width"):
        assert f"{field} must be a whole number" in str(error.value)


def test_the_bus_has_as_many_bits_of_address_as_the_array_or_more():
    config = ARRAYS["tiny"].with_overrides(["addr_width=40"])
    for width, found in ((0, 40), (40, 40), (41, 41), (64, 64)):
        assert AxiAttributes(addr_width=width).bus_addr_width(config) == found
    with pytest.raises(InputError, match="addr_width must be at least 40, as the array's is, not"):
        AxiAttributes(addr_width=39).bus_addr_width(config)
