"""How fast convolutions run on the generated Verilog, and where the time goes.

One command per figure of docs/results/simulated-training.md: `python -m benchmarks.cosim_speed
FIGURE`, with FIGURE one of `products`, `digits`, `resnet20`, `workers`, `flags`. Figures are wall
times, to be taken on an idle machine. CPU times stand beside them. Results go to stdout as JSON, or
into the file of `--out`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.pages import DOCS, Page, digests
from gscn.array import ArrayConfig, array
from gscn.command.main import main as gscn
from gscn.conv import ConvShape, Pass
from gscn.cosim.builds import simulator
from gscn.cosim.devices.device import Device, DeviceSettings
from gscn.cosim.devices.jobs import PassJob
from gscn.cosim.devices.pool import DevicePool
from gscn.cosim.distributed import check_distributed, connect
from gscn.cosim.layer import PassInput
from gscn.cosim.progress import RunTotals
from gscn.formats import BF16
from gscn.golden.oracle.synthetic import random_codes, random_operands
from gscn.outputs import FloatOutput, OutputFormat
from gscn.system.files import write_text

CONFIG = dataclasses.replace(array("large"), float_formats="bf16")
DENSITY = 0.1
SHAPE = ConvShape(n=8, c=64, h=56, w=56, k=64, r=3, s=3, padding=(1, 1))
"""A layer of ResNet-18's first stage, of 8 images of 224x224 pixels."""
LAYER = ConvShape(n=4, c=64, h=16, w=16, k=64, r=3, s=3, padding=(1, 1))
LAYERS = [
    ConvShape(n=4, c=channels, h=size, w=size, k=channels, r=3, s=3, padding=(1, 1))
    for channels, size, count in ((16, 32, 3), (32, 16, 3), (64, 8, 4))
    for _ in range(count)
]
"""Ten layers of ResNet-20, of 4 images of 32x32 pixels."""
PROCESSES = 2
MEAN_OF = 10
"""Iterations at either end whose losses are compared."""


def _operands(shape: ConvShape, which: Pass, seed: int) -> tuple:
    return random_codes(shape, which, DENSITY, DENSITY, BF16, seed)


def _job(shape: ConvShape, which: Pass, seed: int) -> PassJob:
    first, second = _operands(shape, which, seed)
    out = FloatOutput(operands=BF16)
    return PassJob(
        label=f"seed {seed}, {which}", shape=shape, which=which, first=first, second=second, out=out
    )


def _own_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _throughput(config: ArrayConfig, make: Callable[..., PassJob]) -> dict[str, object]:
    totals = RunTotals(config=config, clock_mhz=100.0)
    with DevicePool(config, PROCESSES, DeviceSettings(check_counters=False)) as pool:
        for repeat in range(2):
            # Simulators start, and compiled functions are loaded, in a first round.
            jobs = [make(which, 2 * repeat + layer) for layer in range(2) for which in Pass]
            started, cpu_started = time.perf_counter(), _own_cpu_seconds()
            runs = pool.run(jobs)
            wall, own_cpu = time.perf_counter() - started, _own_cpu_seconds() - cpu_started
    for run in runs:
        totals.add(run)
    python = totals.lowering_seconds + own_cpu
    return {
        "processes": PROCESSES,
        "wall_seconds": wall,
        "products_per_wall_second": totals.useful_products / wall,
        "cycles_per_wall_second": totals.simulated_cycles / wall,
        "products_per_simulation_cpu_second": totals.useful_products / totals.simulation_seconds,
        "cycles_per_simulation_cpu_second": totals.simulated_cycles / totals.simulation_seconds,
        "cpu_seconds": {
            "simulation": totals.simulation_seconds,
            "lowering": totals.lowering_seconds,
            "parent": own_cpu,
        },
        "python_share": python / (python + totals.simulation_seconds),
        "utilization": totals.utilization,
    }


def _integer_job(which: Pass, seed: int) -> PassJob:
    fmt = array("large").format
    first, second = random_operands(SHAPE, which, DENSITY, DENSITY, fmt, seed)
    return PassJob(
        label=f"seed {seed}, {which}", shape=SHAPE, which=which, first=first, second=second,
        out=OutputFormat(width=16, shift=16),
    )  # fmt: skip


def products() -> dict[str, object]:
    """Measure products per second of wall time on two processes: the passes of two layers."""
    return {
        "large (int16)": _throughput(array("large"), _integer_job),
        "large, bf16": _throughput(CONFIG, partial(_job, SHAPE)),
    }


def _train(*options: str) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as place:
        result = Path(place) / "result.json"
        command = [
            "train", "--method", "swat+resprop", "--sparsity", "0.9", "--backend", "rtl",
            "--config", "large", "--check", "--devices", str(PROCESSES), "--json", str(result),
            *options,
        ]  # fmt: skip
        status = gscn(command)
        return {"exit": status, **json.loads(result.read_text())}


def digits() -> dict[str, object]:
    """Train the digits network for 100 iterations, every loss and weight compared.

    In two epochs of 50 the learning rate falls to zero; ReSprop is dense in an epoch's first and
    last iteration. Drawn by `benchmarks.loss_curve`.
    """
    found = _train(
        "--batch", "16", "--learning-rate", "0.07", "--epochs", "2", "--iterations-per-epoch", "50"
    )  # fmt: skip
    losses = found["losses_nats"]
    first, last = (statistics.fmean(some) for some in (losses[:MEAN_OF], losses[-MEAN_OF:]))
    return {**found, "mean_loss_first": first, "mean_loss_last": last, "falls_to": last / first}


def resnet20() -> dict[str, object]:
    """Train ResNet-20 on 32x32 images for two steps of 4: from the second on, ReSprop is sparse."""
    return _train(
        "--network", "resnet20", "--dataset", "composites", "--batch", "4", "--iterations", "2"
    )  # fmt: skip


def workers() -> dict[str, object]:
    """Measure one worker and two on passes of ten layers."""
    inputs = []
    for number, shape in enumerate(LAYERS):
        for which in Pass:
            first, second = _operands(shape, which, number)
            inputs.append(
                PassInput(
                    layer=f"layer{number}", shape=shape, which=which, first=first, second=second,
                    fmt=BF16,
                )
            )  # fmt: skip
    simulator.build(CONFIG)
    seconds = {}
    for count in (1, 2):
        with connect(count) as client:
            # Workers start their simulators, and load compiled functions, before the clock does.
            check_distributed(client, CONFIG, inputs[: 3 * count])
            started = time.perf_counter()
            outcomes = check_distributed(client, CONFIG, inputs)
            seconds[count] = time.perf_counter() - started
        assert all(outcome.comparison.good for outcome in outcomes)
    return {
        "passes": len(inputs),
        "wall_seconds": {str(count): value for count, value in seconds.items()},
        "speed_up": seconds[1] / seconds[2],
    }


def flags() -> dict[str, object]:
    """Measure builds of the simulator: optimisation, and clusters in one model or in their own."""
    one = _job(LAYER, Pass.FORWARD, 0)
    found = {}
    for optimisation in ("-Os", "-O2", "-O3", "-O3 -march=native"):
        for parted in (False, True):
            simulator.OPTIMISATION = optimisation
            simulator._PARTITIONED_CLUSTERS = 1 if parted else 1 << 10
            started = os.times()
            built = simulator.build(CONFIG)
            ended = os.times()
            with Device(CONFIG, simulator=built) as device:
                device.run_pass(one)
                run = device.run_pass(one)
            name = f"{optimisation}, {'clusters of their own' if parted else 'one model'}"
            found[name] = {
                "build_cpu_seconds": ended.children_user - started.children_user,
                "cycles_per_cpu_second": run.simulated_cycles / run.simulation_seconds,
            }
    return found


def make() -> dict[str, object]:
    """Measure what simulated-training.md quotes, on an idle machine, and draw the losses."""
    from benchmarks.figures import write_figure
    from benchmarks.loss_curve import loss_rows
    from gscn.command.plots import plot_losses

    found, two_steps = digits(), resnet20()
    figure = DOCS / "simulated-training-loss.svg"
    rows = loss_rows(found)
    write_figure(figure, plot_losses(rows).figure, rows)
    return {
        "digits": _totals(found)
        | {name: found[name] for name in ("mean_loss_first", "mean_loss_last")},
        "resnet20": _totals(two_steps),
        "products": products(),
        "workers": workers(),
        "files": digests(figure, figure.with_suffix(".csv")),
    }


def _totals(found: dict[str, Any]) -> dict[str, object]:
    """Return what a run on the Verilog took."""
    simulation = found["simulation"]
    names = (
        *("cycles", "simulated_cycles", "utilization", "stalls"),
        *("wall_seconds", "simulation_cpu_seconds", "lowering_cpu_seconds"),
    )
    return {"passes": simulation["launches"], **{name: simulation[name] for name in names}}


def quotes(data: dict[str, Any]) -> dict[str, str]:
    """Return what texts take of the runs."""
    one, two = data["digits"], data["resnet20"]
    stalls = sorted(one["stalls"].items(), key=lambda item: -item[1])[:3]
    found = {
        "digits-simulated-cycles": f"{one['simulated_cycles']:,}",
        "digits-stalls": ", ".join(f"{name} {100 * share:.0f} %" for name, share in stalls),
        "digits-seconds": f"{one['wall_seconds']:.0f}",
        "digits-simulation": f"{one['simulation_cpu_seconds']:.0f}",
        "digits-lowering": f"{one['lowering_cpu_seconds']:.1f}",
        "digits-passes": f"{one['passes']:,}",
        "digits-cycles": f"{one['cycles']:,}",
        "digits-million-cycles": f"{one['cycles'] / 1e6:.1f}",
        "digits-utilization": f"{100 * one['utilization']:.1f} %",
        "digits-minutes": f"{one['wall_seconds'] / 60:.0f}",
        "digits-loss-first": f"{one['mean_loss_first']:.2f}",
        "digits-loss-last": f"{one['mean_loss_last']:.2f}",
        "resnet20-passes": f"{two['passes']:,}",
        "resnet20-cycles": f"{two['cycles']:,}",
        "resnet20-utilization": f"{100 * two['utilization']:.1f} %",
        "resnet20-seconds": f"{two['wall_seconds']:.0f}",
    }
    for name, speed in data["products"].items():
        own = "bf16" if name.endswith("bf16") else "int16"
        found |= {
            f"{own}-million-products": f"{speed['products_per_wall_second'] / 1e6:.2f}",
            f"{own}-cycles": f"{speed['cycles_per_wall_second']:,.0f}",
            f"{own}-cpu-cycles": f"{speed['cycles_per_simulation_cpu_second']:,.0f}",
            f"{own}-python": f"{100 * speed['python_share']:.1f} %",
            f"{own}-utilization": f"{100 * speed['utilization']:.0f} %",
        }
    workers = data["workers"]
    found |= {f"workers-{count}": f"{took:.1f}" for count, took in workers["wall_seconds"].items()}
    return found | {"workers-speed-up": f"{workers['speed_up']:.2f}"}


PAGE = Page(
    name="simulated-training",
    make=make,
    render=None,
    parts=("hardware", "lowering", "model", "arithmetic", "training"),
    configs=("large",),
    quotes=quotes,
)

FIGURES: dict[str, Callable[[], dict[str, object]]] = {
    one.__name__: one for one in (products, digits, resnet20, workers, flags)
}


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=re.sub(r"\s+", " ", __doc__ or ""))
    parser.add_argument("figure", choices=FIGURES)
    parser.add_argument("--out", type=Path, metavar="FILE", help="by default printed")
    args = parser.parse_args()
    text = json.dumps(FIGURES[args.figure](), indent=2) + "\n"
    if args.out is None:
        print(text, end="")
    else:
        write_text(args.out, text)


if __name__ == "__main__":
    main()
