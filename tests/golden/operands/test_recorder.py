"""The process that records a step."""

from __future__ import annotations

import dataclasses
import json

import torch

from gscn.golden.operands.recorder import EXIT_REFUSED, main, plain_kernels
from gscn.golden.recipe import Recipe


def test_it_refuses_to_record_with_the_processors_vector_unit(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    recipe = json.dumps(dataclasses.asdict(Recipe(batch_size=4)))
    assert main([str(tmp_path / "out"), recipe, "1"]) == EXIT_REFUSED
    error = capsys.readouterr().err
    assert "torch must run without vector instructions to record operands, not with AVX512" in error
    assert list(tmp_path.iterdir()) == []


def test_convolutions_are_matrix_products_whatever_the_batch():
    weights = torch.ones(4, 3, 3, 3)

    def kernel(batch):
        ones, none = [1, 1], [0, 0]
        images = torch.ones(batch, 3, 8, 8)
        return torch._C._select_conv_backend(
            images, weights, None, ones, ones, ones, False, none, 1
        ).name

    with plain_kernels():
        # Torch has NNPACK for 16 images and more, where there is no oneDNN.
        assert [kernel(batch) for batch in (1, 8, 16, 32)] == ["Slow2d"] * 4
    assert kernel(32) != "Slow2d"
