"""Weights that torch initialises are the same whatever ran before."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded():
    """Seed torch's global generator, from which layers draw."""
    torch.manual_seed(0)
