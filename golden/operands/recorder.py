"""Records a training step in a process of its own, whose floating point is the same everywhere.

`python -m gscn.golden.operands.recorder FOLDER` with a step as JSON in its standard input's place,
the last argument. Started by `golden.operands.publishing`, which sets `ENVIRONMENT`.

What torch computes depends on the processor that it runs on: how many numbers its vector unit adds
at once, how large caches are, how many cores share the work. A sum in another order rounds to
another value, a value that crosses a threshold changes a mask, and so after some iterations two
machines train two networks. Here one thread does everything in the order of plain code: vector
units are left alone, and matrix products are those that MKL computes alike on all x86-64.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gscn.errors import InputError
from gscn.golden.operands.suite import Step
from gscn.golden.recipe import Recipe

ENVIRONMENT = {
    # Torch's own loops: compiled for the least processor, in its source's order.
    "ATEN_CPU_CAPABILITY": "default",
    # MKL's matrix products: the same instructions on every processor, whoever made it.
    "MKL_CBWR": "COMPATIBLE",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""To be set before torch is imported."""
EXIT_REFUSED = 2
"""Bad input: its last line on standard error is the sentence that says so."""


def record(step: Step, out: Path) -> None:
    """Train, and write the trace of all convolutions in the step after `step.iterations`.

    Raises
    ------
    InputError
        The process was not started with `ENVIRONMENT`, training diverges, or `out` cannot be
        written.
    """
    import torch

    from gscn.golden.traces.recording import trace_step
    from gscn.golden.training.converted_network import conv_layers
    from gscn.golden.training.training import Trainer

    capability = torch.backends.cpu.get_cpu_capability()
    if capability != "DEFAULT":
        raise InputError(
            "torch must run without vector instructions to record operands, "
            f"not with {capability}: ATEN_CPU_CAPABILITY must be default"
        )
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    with plain_kernels():
        trainer = Trainer(step.recipe)
        for _ in trainer.run(step.iterations):
            pass
        trace_step(trainer, out, list(conv_layers(trainer.network)))


@contextlib.contextmanager
def plain_kernels() -> Iterator[None]:
    """Let convolutions be matrix products: oneDNN and NNPACK cut theirs by the size of caches."""
    import torch

    before = torch.backends.mkldnn.enabled
    torch.backends.mkldnn.enabled = False
    try:
        with torch.backends.nnpack.flags(enabled=False):
            yield
    finally:
        torch.backends.mkldnn.enabled = before


def main(arguments: Sequence[str]) -> int:
    """Record the step that arguments describe: a folder to make, a recipe and iterations."""
    out, recipe, iterations = arguments
    step = Step(recipe=Recipe.restored(json.loads(recipe)), iterations=int(iterations))
    try:
        record(step, Path(out))
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
