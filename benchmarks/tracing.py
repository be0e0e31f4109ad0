"""Consecutive iterations of a real training, and what the generated Verilog makes of each.

A ResNet-18 for 32x32 images, trained by SWAT and ReSprop together at 90 %, batch 32. Nobody chose
the iterations by their figures: they are the first `MEASURED` sparse ones of the first epoch whose
target is the final one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.rtl import CONFIG, measure, measure_model
from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.cosim.layer import traced_inputs
from gscn.golden.methods.passes import PassRecord
from gscn.golden.methods.resprop import WARM_UP_EPOCHS
from gscn.golden.recipe import Recipe
from gscn.golden.traces.trace import Trace, load_trace

FOLDER = Path("build/bench/iterations")
RECIPE = Recipe(
    network="resnet18",
    method="swat+resprop",
    sparsity=0.9,
    batch_size=32,
    warm_up=True,
    learning_rate=0.01,
    epochs=11,
    iterations_per_epoch=25,
)
ITERATIONS_PER_EPOCH = 25
FIRST = WARM_UP_EPOCHS * ITERATIONS_PER_EPOCH + 1
"""Iterations before the first that is measured; the one before it begins the epoch and is dense."""
MEASURED = 3
COUNTED = ITERATIONS_PER_EPOCH - 2
"""Sparse iterations of the epoch, of all of which nonzeros are counted."""
DENSITIES = "densities.jsonl"
PASSES = "passes.jsonl"


def record(folder: Path = FOLDER) -> None:
    """Train; write traces of the measured iterations and every density of the epoch's sparse ones.

    What `folder` has already is kept.
    """
    counts = folder / DENSITIES
    if counts.exists():
        return
    import torch

    from gscn.golden.traces.recording import observing, trace_step
    from gscn.golden.training.converted_network import conv_layers
    from gscn.golden.training.training import Trainer

    # Rounding depends on the number of threads, and after so many iterations the masks do too.
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(RECIPE)
    for _ in trainer.run(FIRST):
        pass
    lines = []
    for iteration in range(FIRST, FIRST + COUNTED):
        found: list[dict[str, Any]] = []
        if iteration < FIRST + MEASURED:
            trace = trace_step(trainer, folder / f"trace-{iteration}")
            for name, entry in trace.entries.items():
                for which, pair in entry.densities.items():
                    found.append({"layer": name, "pass": str(which), "densities": list(pair)})
        else:

            def count(name: str, one: PassRecord, found: list = found) -> None:
                densities = [share(one.first), share(one.second)]
                found.append({"layer": name, "pass": str(one.which), "densities": densities})

            with observing(trainer.network, count, list(conv_layers(trainer.network))):
                trainer.step()
        lines.append({"iteration": iteration, "passes": found})
    temporary = counts.with_suffix(".part")
    temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    temporary.rename(counts)


def share(tensor: Any) -> float:
    """Return the share of a tensor's elements that are not 0."""
    return int((tensor != 0).sum()) / tensor.numel()


def distinct_layers(trace: Trace) -> list[str]:
    """Return the first layer of each shape, in the network's order."""
    first: dict[ConvShape, str] = {}
    for name, entry in trace.entries.items():
        first.setdefault(entry.shape, name)
    return list(first.values())


def jobs(trace: Trace) -> Iterator[tuple[int, str, Pass]]:
    """Yield iteration, layer and pass of every measurement.

    Gradients of 3x3 kernels, whose operands swing, come first, and the first two iterations of all
    layers before the third, so that a run that is stopped has measured consecutive iterations of
    the same layers.
    """
    layers = distinct_layers(trace)
    kernels = {name: (trace.entries[name].shape.r, trace.entries[name].shape.s) for name in layers}
    spatial = [name for name in layers if kernels[name] != (1, 1)]
    pointwise = [name for name in layers if name not in spatial]
    gradients = (Pass.INPUT_GRAD, Pass.WEIGHT_GRAD)
    first, later = range(FIRST, FIRST + 2), range(FIRST + 2, FIRST + MEASURED)
    for names, iterations, passes in (
        (spatial, first, gradients),
        (spatial, range(FIRST, FIRST + 1), (Pass.FORWARD,)),
        (pointwise, first, gradients),
        (spatial, later, gradients),
        (pointwise, later, gradients),
        (pointwise, range(FIRST, FIRST + 1), (Pass.FORWARD,)),
        (spatial, range(FIRST + 1, FIRST + MEASURED), (Pass.FORWARD,)),
        (pointwise, range(FIRST + 1, FIRST + MEASURED), (Pass.FORWARD,)),
    ):
        for name in names:
            for iteration in iterations:
                for which in passes:
                    if which in trace.entries[name].densities:
                        yield iteration, name, which


def measure_all(folder: Path = FOLDER) -> None:
    """Measure every pass that the file of `folder` has not yet.

    Those of the first iteration in RTL, the others by the cycle model, which equals it.
    """
    path = folder / PASSES
    done = {(row["iteration"], row["layer"], row["pass"]) for row in load(path)}
    config = array(CONFIG)
    traces = {
        iteration: load_trace(folder / f"trace-{iteration}")
        for iteration in range(FIRST, FIRST + MEASURED)
    }
    for iteration, layer, which in jobs(traces[FIRST]):
        if (iteration, layer, str(which)) in done:
            continue
        trace = traces[iteration]
        start = time.perf_counter()
        inputs = traced_inputs(trace, config, [layer], which)
        (row,) = (
            measure(config, inputs)
            if iteration == FIRST
            else [measure_model(config, one) for one in inputs]
        )
        row = {
            "iteration": iteration,
            **row,
            "densities": list(trace.entries[layer].densities[which]),
            "seconds": time.perf_counter() - start,
        }
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def load(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines, none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    record()
    measure_all()
