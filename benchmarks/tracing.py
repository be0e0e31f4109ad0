"""Twenty consecutive iterations of a real training: where nonzeros are in each, and whole traces.

`python -m benchmarks.tracing` trains and writes them: a ResNet-18 for 32x32 images, by SWAT and
ReSprop together at 90 %, batch 32. Nobody chose the iterations by their figures: they are the first
`MEASURED` sparse ones of the first epoch whose target is the final one. Kept of each are the
nonzeros of every operand, a bit each (`benchmarks.masks`); of the first, and of the two whose
output gradients have least and most nonzeros, the operands themselves.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks import masks
from gscn.conv import ConvShape, Pass
from gscn.golden.methods.resprop import WARM_UP_EPOCHS
from gscn.golden.recipe import Recipe
from gscn.golden.traces.trace import Trace, load_trace

FOLDER = Path("build/bench/consecutive")
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
MEASURED = 20
DENSITIES = "densities.jsonl"


def iterations() -> range:
    """Return the iterations that are measured."""
    return range(FIRST, FIRST + MEASURED)


def trace_folder(iteration: int, folder: Path = FOLDER) -> Path:
    """Return the folder of an iteration's trace."""
    return folder / f"trace-{iteration}"


def record(folder: Path = FOLDER) -> None:
    """Train; write masks and densities of all measured iterations, and traces of three.

    A folder that has them all is left alone; what a run that was stopped left is written anew.
    """
    counts = folder / DENSITIES
    if counts.exists():
        return
    import torch

    from gscn.golden.traces.recording import trace_step
    from gscn.golden.training.converted_network import conv_layers
    from gscn.golden.training.training import Trainer

    # Rounding depends on the number of threads, and after so many iterations the masks do too.
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("trace-*"):
        shutil.rmtree(left)
    trainer = Trainer(RECIPE)
    for _ in trainer.run(FIRST):
        pass
    lines: list[dict[str, Any]] = []
    held: set[int] = set()
    for iteration in iterations():
        # The pages are of convolutions.
        names = list(conv_layers(trainer.network))
        trace = trace_step(trainer, trace_folder(iteration, folder), names)
        masks.keep(folder, trace)
        lines.append(_counted(iteration, trace))
        held.add(iteration)
        for one in held - kept(lines):
            shutil.rmtree(trace_folder(one, folder))
        held &= kept(lines)
    temporary = counts.with_suffix(".part")
    temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    temporary.rename(counts)


def _counted(iteration: int, trace: Trace) -> dict[str, Any]:
    """Return the densities of a trace, and how many nonzeros its output gradients have."""
    passes = [
        {"layer": name, "pass": str(which), "densities": list(pair)}
        for name, entry in trace.entries.items()
        for which, pair in entry.densities.items()
    ]
    nonzeros = sum(
        int(trace.nonzeros(name, Pass.WEIGHT_GRAD, "first", 1).sum())
        for name, entry in trace.entries.items()
        if Pass.WEIGHT_GRAD in entry.densities
    )
    return {"iteration": iteration, "gradient_nonzeros": nonzeros, "passes": passes}


def extremes(lines: list[dict[str, Any]]) -> tuple[int, int]:
    """Return the iterations whose output gradients have least nonzeros, and most.

    They are the two that run on the generated Verilog; of equal ones it is the first.
    """
    found = {line["iteration"]: line["gradient_nonzeros"] for line in lines}
    return min(found, key=lambda one: found[one]), max(found, key=lambda one: found[one])


def kept(lines: list[dict[str, Any]]) -> set[int]:
    """Return the iterations whose traces are kept, of those recorded so far."""
    return {FIRST, *extremes(lines)}


def distinct_layers(trace: Trace) -> list[str]:
    """Return the first layer of each shape, in the network's order."""
    first: dict[ConvShape, str] = {}
    for name, entry in trace.entries.items():
        first.setdefault(entry.shape, name)
    return list(first.values())


def recorded_trace(iteration: int, folder: Path = FOLDER) -> Trace:
    """Open the trace of an iteration."""
    return load_trace(trace_folder(iteration, folder))


def load(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines, none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    record()
