"""Bursts longer than the 64 bytes in which the range of a phase counts."""

from __future__ import annotations

import dataclasses
import random

import pytest

from gscn.array import ARRAYS, ArrayConfig

CHANNELS = 3

with_long_bursts = pytest.mark.parametrize(
    ("mem_width", "burst_beats"), [(512, 4), (512, 16), (64, 16), (256, 8)]
)
"""Run a test at bits of a beat, and beats of a burst, that make more than 64 bytes."""


def port(mem_width: int, burst_beats: int) -> ArrayConfig:
    """Return a configuration whose memory port has such bursts."""
    return dataclasses.replace(
        ARRAYS["tiny"],
        drain_width=1,
        mem_width=mem_width,
        burst_beats=burst_beats,
        read_fifo_beats=2 * burst_beats,
        outstanding_bursts=4,
    )


def burst_unit(config: ArrayConfig) -> int:
    """Return the bytes of the longest burst."""
    return config.burst_beats * config.mem_bytes


def long_bursts(config: ArrayConfig) -> list[list[dict[str, int]]]:
    """Return bursts of each channel, the first of full length; addresses tell the channel."""
    rng, longest = random.Random(config.mem_width), config.burst_beats
    lengths = [[longest, *(rng.randint(1, longest) for _ in range(3))] for _ in range(CHANNELS)]
    return [
        [
            {"addr": burst_unit(config) * (CHANNELS * n + channel), "beats": beats}
            for n, beats in enumerate(own)
        ]
        for channel, own in enumerate(lengths)
    ]
