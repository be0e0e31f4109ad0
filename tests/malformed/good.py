"""Good files of every kind that the command reads: small, so that many can be spoilt."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import onnx
import torch
import yaml
from PIL import Image
from torch import nn

from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import PassInput, oracle
from gscn.golden.operands.published import Index, index_text, published_trace
from gscn.golden.operands.suite import Step
from gscn.golden.oracle.integers import conv_integers
from gscn.golden.oracle.synthetic import random_operands
from gscn.golden.recipe import Recipe
from gscn.golden.traces.arrays import LayerTrace, PassTrace
from gscn.golden.traces.trace import Trace
from gscn.golden.traces.writing import write_trace
from tests.malformed.generate import RECIPE

SHAPE = ConvShape(n=2, c=3, h=5, w=5, k=4, r=3, s=3, padding=(1, 1))
IMAGES = {"0.png": "RGB", "1.jpg": "RGB", "2.bmp": "P", "3.ppm": "L", "4.webp": "RGB", "5.png": "P"}


def make_good(folder: Path, main) -> None:
    """Write the files; `main` is the command."""
    config = ARRAYS["tiny"]
    passes = {}
    for which in Pass:
        first, second = random_operands(SHAPE, which, 0.5, 0.5, config.format, 1)
        exact = conv_integers(SHAPE, which, first, second)
        operands = {"first": first, "second": second}
        passes[which] = PassTrace(
            which=which,
            result=exact.astype(np.float32),
            precomputed=None,
            **{name: one.astype(np.float32) for name, one in operands.items()},
        )
        if which is Pass.FORWARD:
            _write_result(folder / "result.npz", first, second)
    _write_trace(folder / "trace", passes, "own")
    _write_operands(folder / "operands", passes)
    sizes = {name: getattr(SHAPE, name) for name in "chwkrs"}
    layers = [{"name": f"conv{n}", **sizes, "c": 3 + n, "padding": [1, 1]} for n in range(3)]
    (folder / "network").write_text(json.dumps(layers))
    _write_models(folder)
    words = ["train", *RECIPE, "--iterations", "2"]
    out = ["--out", str(folder / "model.pt"), "--log", str(folder / "log.csv")]
    assert main([*words, *out]) == 0
    _write_batches(folder)
    _write_images(folder / "images")


def _write_trace(folder: Path, passes: dict[Pass, PassTrace], network: str) -> Trace:
    return write_trace(
        folder, [LayerTrace(name="conv", shape=SHAPE, passes=passes)], network=network,
        dataset="none", method="dense", sparsity=0.0, step=1, seed=0, dense_iteration=False,
    )  # fmt: skip


def _write_operands(folder: Path, passes: dict[Pass, PassTrace]) -> None:
    step = Step(recipe=Recipe(), iterations=1)
    one = published_trace(step, _write_trace(folder / step.name, passes, "digits"))
    index = Index(traces={one.name: one}, made_with={"torch": "2"})
    (folder / "operands.json").write_text(index_text(index))


def _write_models(folder: Path) -> None:
    """Write one network in the formats of other tools."""
    header = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, "
    rows = [f"{header}Num Filter, Strides,"]
    rows += [f"conv{n}, 5, 5, 3, 3, {3 + n}, 4, 1," for n in range(3)]
    (folder / "topology.csv").write_text("\n".join(rows))
    problem = {"C": 3, "K": 4, "R": 3, "S": 3, "P": 5, "Q": 5, "N": 2}
    (folder / "problems.yaml").write_text(yaml.safe_dump_all([{"problem": problem}] * 3))
    weights = onnx.helper.make_tensor("w", 1, [4, 3, 3, 3], b"\0" * 432, raw=True)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["x", "w"], ["y"], name="conv", pads=[1, 1, 1, 1])], "own",
        [onnx.helper.make_tensor_value_info("x", 1, ["N", 3, 5, 5])],
        [onnx.helper.make_tensor_value_info("y", 1, None)], [weights],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    (folder / "graph.onnx").write_bytes(model.SerializeToString())
    program = torch.export.export(nn.Conv2d(3, 4, 3, padding=1), (torch.zeros(2, 3, 5, 5),))
    torch.export.save(program, folder / "exported.pt2")


def _write_result(path: Path, first: np.ndarray, second: np.ndarray) -> None:
    config = ARRAYS["tiny"]
    source = PassInput(layer="conv", shape=SHAPE, which=Pass.FORWARD, first=first, second=second)
    result = oracle(source, output_width=32, shift=16, result_format=None, acc_width=48)
    about = {
        "format_version": 2, "layer": "conv", "shape": dataclasses.asdict(SHAPE),
        "pass": "forward", "output_width": 32, "shift": 16, "format": None, "result_format": None,
        "config": config.to_dict(), "config_digest": config.digest(),
    }  # fmt: skip
    text = np.array(json.dumps(about))
    np.savez_compressed(path, about=text, first=first, second=second, result=result)


def _write_batches(folder: Path) -> None:
    unpacked = folder / "batches" / "cifar-10-batches-py"
    unpacked.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]:
        pixels = rng.integers(0, 256, (2, 3072), np.uint8)
        content = pickle.dumps({b"data": pixels, b"labels": [1, 9]}, protocol=2)
        (unpacked / name).write_bytes(content)
    (folder / "archive").mkdir()
    with tarfile.open(folder / "archive" / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(unpacked, unpacked.name)


def _write_images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for part in ("train", "val"):
        (folder / part / "one").mkdir(parents=True)
        for name, mode in IMAGES.items():
            image = Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8))
            stream = io.BytesIO()
            image.convert(mode).save(stream, name.split(".")[1].replace("jpg", "jpeg"))
            (folder / part / "one" / name).write_bytes(stream.getvalue())
