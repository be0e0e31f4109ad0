"""The study of whole steps: all ways begin alike, and swings by hand."""

from __future__ import annotations

import pytest

from benchmarks.encode_training import RISING, WAYS, Trained, by_steps, by_torch, swings


def test_the_dense_way_begins_as_torch_does():
    wanted = by_torch(2)
    found = by_steps(*WAYS["dense"], 2)
    assert found.losses == pytest.approx(wanted.losses, rel=0.02)
    assert found.kept == []


def test_a_swing_is_the_factor_of_a_change_up_or_down():
    made = Trained(kept=[[9.0]] * RISING + [[0.1], [0.2], [0.05]])
    assert swings(made).reshape(-1) == pytest.approx([2, 4])
