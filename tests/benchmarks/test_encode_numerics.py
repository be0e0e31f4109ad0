"""The study of elementwise arithmetic: its windows, its gradients, and that it trains."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from benchmarks.encode_numerics import Arithmetic, Normalised, Term, compute, text, windowed

EXACT = (None, torch.float32)


def test_products_are_cut_below_the_largest():
    one = torch.ones(())
    tiny = torch.tensor([2.0**-30])
    terms = [Term(torch.ones(1), one), Term(tiny, one)]
    assert windowed(terms, torch.zeros(()), 32).item() == 1
    terms.append(Term(-torch.ones(1), one))
    assert windowed(terms, torch.zeros(()), 32).item() == 0
    assert windowed(terms, torch.zeros(()), 48).item() == tiny.item()
    assert windowed(terms[1:2], torch.zeros(()), 32).item() == tiny.item()


def test_gradients_are_those_of_torch():
    generator = torch.Generator().manual_seed(3)
    y, added = (torch.randn(4, 3, 5, 5, generator=generator).requires_grad_() for _ in range(2))
    gamma, beta = (torch.randn(3, generator=generator).requires_grad_() for _ in range(2))
    factor = torch.randn(4, 3, 5, 5, generator=generator)
    leaves = (y, gamma, beta, added)
    ours = Normalised.apply(*leaves, Arithmetic(*EXACT))
    got = torch.autograd.grad((ours * factor).sum(), leaves)
    wanted = functional.relu(
        functional.batch_norm(y, None, None, gamma, beta, training=True) + added
    )
    assert torch.allclose(ours, wanted, atol=1e-5)
    for one, other in zip(got, torch.autograd.grad((wanted * factor).sum(), leaves), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_all_ways_train():
    found = compute(4, (0,), ((8, 32),))
    assert len(found) == 3
    assert all(math.isfinite(run.losses[-1]) for runs in found.values() for run in runs)
    # The weights of all ways are the same at first.
    first = [runs[0].losses[0] for runs in found.values()]
    assert max(first) - min(first) < 0.02
    assert found["coefficients of 8 bits, window of 32"][0].errors["weights"] < 1e-6
    assert "loss, iterations to 4" in text(found)
