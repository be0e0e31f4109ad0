"""The driver's benchmark measures every pass of every layer."""

from __future__ import annotations

from benchmarks import driver
from gscn.conv import Pass
from gscn.passes import DESCRIPTOR_BYTES


def test_every_pass_of_every_layer_is_measured():
    rows = driver.compute(repeats=1, name="small")
    assert [(row["layer"], row["pass"]) for row in rows] == [
        (layer, str(which)) for layer in driver.layers() for which in Pass
    ]
    for row in rows:
        assert row["plan_us"] > 0
        assert row["descriptor_us"] > 0
        assert row["descriptor_bytes"] % DESCRIPTOR_BYTES == 0 < row["descriptor_bytes"]
    text = driver.render(rows)
    assert text.count("\n|") == 1 + len(rows)
    assert f"{DESCRIPTOR_BYTES} each" in text
