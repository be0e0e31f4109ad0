"""The guide to whole steps: its example runs, and moves a model as torch's own step does nearly."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from gscn.errors import InputError
from gscn.golden.networks.tracing import traced
from gscn.lowering.step.compiler import compile_step
from gscn.lowering.step.layers import Training
from tests.test_structure import ROOT

PAGE = (ROOT / "docs" / "guides" / "whole-steps.md").read_text(encoding="utf-8")


def test_the_example_trains_the_model_as_torch_does_nearly(capsys):
    (source,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    before, after = source.split("how = Training")
    names: dict[str, object] = {}
    exec(before, names)
    theirs = copy.deepcopy(names["model"])
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.05, momentum=0.9)
    exec("how = Training" + after, names)
    assert capsys.readouterr().out.startswith("7 layers, ")
    first = {name: one.detach().clone() for name, one in theirs.named_parameters()}
    result = theirs(names["images"])
    nn.functional.cross_entropy(result, torch.from_numpy(names["labels"])).backward()
    optimizer.step()
    for name, own in names["model"].named_parameters():
        moved = theirs.get_parameter(name) - first[name]
        apart = own - theirs.get_parameter(name)
        # Results of convolutions and normalisations are rounded to 8 bits.
        assert moved.norm() > 0
        assert apart.norm() < 0.2 * moved.norm(), name
    for name, own in names["model"].named_buffers():
        assert torch.allclose(own, theirs.get_buffer(name), rtol=0.05, atol=0.01), name


def test_the_error_is_that_of_the_page():
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.5),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10, bias=False),
    )  # fmt: skip
    with pytest.raises(InputError) as error:
        compile_step(traced(model, torch.zeros(2, 3, 8, 8)), Training())
    (shown,) = re.findall(r"```\n(a whole training step.*?)\n```", PAGE, re.DOTALL)
    assert str(error.value) == shown
