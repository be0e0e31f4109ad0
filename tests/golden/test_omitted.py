"""What a list of layers leaves out: read as JSON has it, and the share that is left."""

from __future__ import annotations

import dataclasses

import pytest

from gscn.golden.omitted import Omitted, covered_share

ONE = Omitted(name="mix", kind="mm in Mix", macs=8, share=0.25)
UNKNOWN = Omitted(name="other", kind="fft in Other", macs=None, share=None)


def test_what_json_describes_is_read_and_said_in_words():
    assert Omitted.of(dataclasses.asdict(ONE)) == ONE
    assert [str(one) for one in (ONE, UNKNOWN)] == [
        "mix (mm in Mix): 25.00 %",
        "other (fft in Other): unknown share",
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": 3}, "name and kind must be text, not 3"),
        ({"macs": True}, "macs must be a whole number of at least 0, not True"),
        ({"share": 1.5}, r"share must be from 0 to 1, not 1\.5"),
        ({"more": 1}, "must have name, kind, macs and share"),
    ],
)
def test_what_is_none_is_named(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        Omitted.of({**dataclasses.asdict(ONE), **change})


def test_the_covered_share_is_what_is_left_of_what_is_counted():
    assert covered_share([]) == 1
    assert covered_share([ONE, UNKNOWN]) == 0.75
    assert covered_share([dataclasses.replace(ONE, share=0.7)] * 2) == 0
