"""How far the modes that need no trace are from the mode that has one: docs/results/model-error.md.

`python -m benchmarks.docs model-error` estimates recorded training steps from nothing but
the shapes of their layers and the densities of their operands, and compares with the cycles that
the recorded operands took, pass by pass, which are kept in `benchmarks/traced/`. Whenever the
driver or the cycle model changes, they are measured anew by `python -m benchmarks.model_error
--record [NAME ...]`, which trains and traces what `build/bench` has not. To add a step: record
it with `gscn trace`, then `python -m benchmarks.model_error --measure NAME=DIRECTORY`.
"""

from __future__ import annotations

import argparse
import functools
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import tracing
from benchmarks.markdown import table
from benchmarks.pages import Page
from gscn.array import array
from gscn.command.main import main as gscn
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.traces.trace import load_trace
from gscn.perf.estimate.recorded_step import RecordedPass, measure_recorded, read_recorded
from gscn.perf.estimate.sampling import Sampling, measure
from gscn.perf.estimate.training_step import Mode, NetworkEstimate, estimate
from gscn.perf.workload.layers import Layer, Network
from gscn.perf.workload.sparsification import Method, Sparsification
from gscn.perf.workload.statistics import read_statistics
from gscn.perf.workload.work import Work

RESULTS = Path(__file__).with_name("traced")
CONFIG = "large"
MODES = (Mode.STATISTICAL, Mode.ANALYTIC, Mode.UNIFORM)


@dataclass(frozen=True, slots=True)
class Case:
    """One recorded training step."""

    name: str
    """Of its file of results."""
    title: str
    method: Method
    how: str
    """How its cycles were found."""
    recorded: str
    """How the step was recorded."""


_MODEL = "cycle model"
TRACES = Path("build/bench/traces")
_TRACE = "gscn trace --sparsity 0.9"
_ITERATIONS = "--epochs 4 --iterations-per-epoch 50 --iterations 120"
_TRACING = "`python -m benchmarks.tracing`, iteration 226"
_RESNET18 = (
    f"`{_TRACE} --network resnet18 --method swat+resprop --batch 32 --warm-up --learning-rate 0.01 "
    "--epochs 11 --iterations-per-epoch 25 --iterations 265`"
)
CASES = (
    Case(
        "resnet18-swat+resprop",
        "ResNet-18, 32x32, batch 32",
        Method.SWAT_RESPROP,
        _MODEL,
        _TRACING,
    ),
    Case(
        "resnet20-swat",
        "ResNet-20, 32x32, batch 8",
        Method.SWAT,
        _MODEL,
        f"`{_TRACE} --network resnet20 --method swat --batch 8 --learning-rate 0.02 {_ITERATIONS}`",
    ),
    Case(
        "wrn16-1-resprop",
        "WRN-16-1, 32x32, batch 4",
        Method.RESPROP,
        _MODEL,
        f"`{_TRACE} --network wrn16-1 --method resprop --batch 4 --learning-rate 0.01 "
        f"{_ITERATIONS}`",
    ),
    Case(
        "vgg16-swat+resprop",
        "VGG-16, 32x32, batch 4",
        Method.SWAT_RESPROP,
        _MODEL,
        f"`{_TRACE} --network vgg16 --method swat+resprop --batch 4 --learning-rate 0.01 "
        f"{_ITERATIONS}`",
    ),
)
FITTED_ON = (
    f"{_RESNET18} and `{_TRACE} --network resnet18 --width 16 --method resprop --batch 16 "
    "--epochs 4 --iterations-per-epoch 25 --iterations 60`"
)
"""How the steps were recorded that the package's statistics were fitted on."""


def compute(case: Case, *, processes: int = 2, folder: Path = RESULTS) -> dict[str, object]:
    """Return the cycles of a recorded step, and of every mode, as plain JSON values."""
    traced = read_recorded(folder / f"{case.name}.jsonl")
    network, items = step_of(case.name, traced)
    sparsification = Sparsification(method=case.method, sparsity=0.9)
    row: dict[str, object] = {
        "title": case.title,
        "method": str(case.method),
        "how": case.how,
        "recorded": case.recorded,
        "passes": len(traced),
        "trace": _cycles(traced),
    }
    for mode in MODES:
        start = time.perf_counter()
        result = estimate(
            network,
            array(CONFIG),
            sparsification,
            items=items,
            mode=mode,
            sampling=Sampling(measure=functools.partial(measure, processes=processes)),
        )
        row[str(mode)] = _estimated(result) | {"seconds": time.perf_counter() - start}
    return row


def step_of(
    name: str, traced: Sequence[RecordedPass]
) -> tuple[Network, list[tuple[Layer, Pass, tuple[Work, ...]]]]:
    """Return layers and passes of a recorded step at the densities that were recorded."""
    shapes = {one.layer: one.shape for one in traced}
    layers = {
        layer: Layer(name=layer, shape=shape, first=index == 0)
        for index, (layer, shape) in enumerate(shapes.items())
    }
    items = [
        (
            layers[one.layer],
            one.which,
            (
                Work(
                    shape=one.shape,
                    which=one.which,
                    first_density=one.first_density,
                    second_density=one.second_density,
                ),
            ),
        )
        for one in traced
    ]
    return Network(name=name, layers=tuple(layers.values())), items


def _cycles(traced: Sequence[RecordedPass]) -> dict[str, float]:
    by_pass = {
        str(which): sum(one.measurement.cycles for one in traced if one.which is which)
        for which in Pass
    }
    return {"all": sum(by_pass.values()), **by_pass}


def _estimated(result: NetworkEstimate) -> dict[str, float]:
    return {"all": result.cycles(), **{str(which): result.cycles((which,)) for which in Pass}}


def error(row: dict, mode: Mode, what: str = "all") -> float:
    """Return the relative error of a mode's cycles: over 0 where it says too many."""
    return row[mode][what] / row["trace"][what] - 1


def render(data: dict) -> str:
    """Return the document."""
    rows = data["steps"]
    totals = table(
        (
            *("training step", "method", "passes", "cycles by", "million cycles"),
            *(f"{mode}, %" for mode in MODES),
        ),
        [
            (
                row["title"],
                row["method"],
                str(row["passes"]),
                row["how"],
                f"{row['trace']['all'] / 1e6:.3f}",
                *(f"{100 * error(row, mode):+.1f}" for mode in MODES),
            )
            for row in rows
        ],
    )
    by_pass = table(
        ("training step", "pass", "million cycles", *(f"{mode}, %" for mode in MODES)),
        [
            (
                row["title"],
                str(which),
                f"{row['trace'][which] / 1e6:.3f}",
                *(f"{100 * error(row, mode, which):+.1f}" for mode in MODES),
            )
            for row in rows
            for which in Pass
        ],
    )
    worst = {mode: max((abs(error(row, mode)) for row in rows), default=0.0) for mode in MODES}
    recorded = "\n".join(f"* {row['title']}: {row['recorded']}" for row in rows)
    return f"""# How wrong the estimates can be

Recorded training steps on `{CONFIG}`: the \
cycles that the recorded operands take (the cycle model, which equals the generated Verilog), \
and what the modes of `gscn estimate` that need no trace say, given the shapes of the layers and \
the share of nonzeros of each operand. Errors are of all passes together; over 0 the mode says too \
many cycles.

{totals}

The largest error is {100 * worst[Mode.STATISTICAL]:.1f} % in the statistical mode and \
{100 * worst[Mode.ANALYTIC]:.1f} % in the analytic one.

The statistics were fitted on: {"; ".join(data["fitted_on"])}. Of the steps above the first is an \
earlier one of the same training; the others are of networks, methods or batches that nothing was \
fitted on. The closed form was fitted to drawn samples only \
(`python -m gscn.perf.estimate.calibration`), to none of these steps. The \
uniform mode takes the utilisation of uniformly random samples for that of their layers; here its \
samples have the size of the other modes', so that it errs in both directions at once: even \
operands are too kind, small samples too harsh.

## By pass

Errors of single passes are larger and partly cancel.

{by_pass}

## How the steps were recorded

{recorded}

Those that the statistics were fitted on (`python -m gscn.perf.workload.statistics`): {FITTED_ON}.

## What is not in these figures

Densities are given, not predicted: if a training run has others than were assumed, cycles differ \
in proportion. The networks here have images of 32x32 pixels and small batches, as a whole layer \
must fit the cycle model; layers of 224x224 images are larger, and lose less at their start and end.
"""


def make() -> dict[str, object]:
    """Return what the page shows, as plain JSON values."""
    return {
        "steps": [compute(case) for case in CASES],
        "fitted_on": list(read_statistics().traces),
    }


def quotes(data: dict) -> dict[str, str]:
    """Return the largest error of each mode over all steps."""
    return {
        f"largest-{mode}": f"{max(100 * abs(error(row, mode)) for row in data['steps']):.1f} %"
        for mode in MODES
    }


PAGE = Page(
    name="model-error",
    make=make,
    render=render,
    parts=("lowering", "model", "estimates"),
    configs=(CONFIG,),
    quotes=quotes,
)


def recorded_folder(case: Case) -> Path:
    """Return the trace of a step, recorded if it is not there."""
    if case.recorded == _TRACING:
        tracing.record()
        return tracing.trace_folder(tracing.FIRST)
    folder = TRACES / case.name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        command = shlex.split(case.recorded.strip("`"))[1:]
        if status := gscn([*command, "--out", str(folder)]):
            raise InputError(f"{case.recorded} must end with 0, not {status}")
    return folder


def record(names: Sequence[str], *, results: Path = RESULTS) -> None:
    """Measure recorded steps anew, those named or all; train and trace what is not there."""
    for case in CASES:
        if names and case.name not in names:
            continue
        folder = recorded_folder(case)
        path = results / f"{case.name}.jsonl"
        temporary = path.with_suffix(".part")
        temporary.unlink(missing_ok=True)
        _measure(folder, temporary)
        temporary.rename(path)


def _measure(folder: Path, path: Path) -> None:
    measure_recorded(
        load_trace(folder),
        array(CONFIG),
        cache=path,
        progress=lambda done, total: sys.stderr.write(f"\r{done} of {total}"),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a trace, or those of all steps."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.model_error", description=(__doc__ or "").split("\n\n")[0]
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--measure", metavar="NAME=DIR", help="add a recorded step's cycles")
    action.add_argument(
        "--record",
        nargs="*",
        choices=[case.name for case in CASES],
        help="measure steps anew, by default all",
    )
    args = parser.parse_args(arguments)
    if args.measure is None:
        record(args.record)
        return
    name, separator, directory = args.measure.partition("=")
    if not separator:
        raise InputError(f"--measure must read NAME=DIR, not {args.measure!r}")
    _measure(Path(directory), RESULTS / f"{name}.jsonl")


if __name__ == "__main__":
    main()
