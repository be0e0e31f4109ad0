"""The process that records a step."""

from __future__ import annotations

import dataclasses
import json

import torch

from gscn.golden.operands.recorder import EXIT_REFUSED, main
from gscn.golden.recipe import Recipe


def test_it_refuses_to_record_with_the_processors_vector_unit(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    recipe = json.dumps(dataclasses.asdict(Recipe(batch_size=4)))
    assert main([str(tmp_path / "out"), recipe, "1"]) == EXIT_REFUSED
    error = capsys.readouterr().err
    assert "torch must run without vector instructions to record operands, not with AVX512" in error
    assert list(tmp_path.iterdir()) == []
