"""DST: the penalty raises thresholds, too few weights reset them, masked weights learn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gscn import golden
from tests.golden.methods.test_integration import images, network


def test_dst_penalty_raises_thresholds_and_hardly_any_weights_reset_them():
    model = golden.sparsify(network(), "dst")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for seed in range(20):
        optimizer.zero_grad()
        (model(images(seed)).square().mean() + 0.02 * golden.dst_penalty(model)).backward()
        optimizer.step()
    report = golden.sparsity_report(model)
    assert all(layer.weights < 1 for layer in report.values())
    assert model[3].gscn.weight_mask.threshold.min() > 0
    with torch.no_grad():
        model[3].gscn.weight_mask.threshold.fill_(10)
        model[5].gscn.weight_mask.threshold.fill_(10)
        model[5].gscn.weight_mask.threshold[0] = 0
    model(images(0))
    assert not model[3].gscn.weight_mask.threshold.any()
    # One filter of six, 16 %, is more than 1 %.
    assert model[5].gscn.weight_mask.threshold[1:].eq(10).all()


@pytest.mark.parametrize(("left", "threshold"), [(1, 0.0), (2, 0.5)])
def test_one_percent_of_the_weights_is_too_few_and_more_is_not(left, threshold):
    layer = golden.sparsify(nn.Linear(100, 1), "dst")
    with torch.no_grad():
        layer.weight.copy_((torch.arange(100) < left).float()[None])
        layer.gscn.weight_mask.threshold.fill_(0.5)
    layer(torch.ones(1, 100))
    assert layer.gscn.weight_mask.threshold.item() == threshold


def test_masked_weights_keep_being_updated():
    layer = golden.sparsify(nn.Linear(2, 1, bias=False), "dst")
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.5, 0.1]]))
        layer.gscn.weight_mask.threshold.fill_(0.2)
    layer(torch.tensor([[1.0, 2.0]])).sum().backward()
    # |w| - t is 0.3 and -0.1: slopes 0.8 and 1.6; gradients 1 + 0.5 * 0.8 and 2 * 0.1 * 1.6.
    torch.testing.assert_close(layer.weight.grad, torch.tensor([[1.4, 0.32]]))
    torch.testing.assert_close(layer.gscn.weight_mask.threshold.grad, torch.tensor([-0.4 - 0.32]))
