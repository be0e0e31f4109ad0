"""Lists of whole steps as a benchmark: bytes of the host by hand, no races."""

from __future__ import annotations

from benchmarks.encode_step import digits, made, text, touched


def test_what_the_host_touches_is_what_was_worked_out_by_hand():
    size = (4, 1, 8, 8)
    found = touched(*made(digits(), size))
    # 10 normalisations; sums of 32 bytes and rows of 32 bytes of each channel, forward and back.
    channels = [16, 16, 16, 32, 32, 32, 64, 64, 64, 64]
    assert found["sums"] == 2 * 32 * sum(channels)
    # The two of shortcuts are in the rows of those that add them.
    assert found["coefficients"] == 32 * (2 * sum(channels) - 32 - 64)
    # Dense maps have 16 channels at least; logits are float32, their gradients bf16.
    assert found["images"] == 4 * 16 * 64 * 2
    assert found["logits"] == 4 * 16 * (4 + 2)
    # Two fields of each convolution's pass of one sample.
    assert found["samples"] == 10 * 2 * 4


def test_the_tables_have_both_networks_without_races():
    lists, bytes_ = text().split("\n\n")
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in lists.splitlines()[2:]]
    assert [row[6] for row in rows] == ["0", "0"]
    assert "all but images" in bytes_
