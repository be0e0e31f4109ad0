"""`gscn estimate`: speed-up of training a full network over a dense array."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.array import ArrayConfig, array
from gscn.command.numbers import MOST_PROCESSES, real, whole
from gscn.command.options import add_preset_arguments
from gscn.command.result import Result, table
from gscn.command.standard_files import say
from gscn.command.step_text import whole_rows, whole_step

if TYPE_CHECKING:
    from gscn.graph import Graph
    from gscn.perf.estimate.memory import Dram
    from gscn.perf.estimate.training_step import Mode, NetworkEstimate

SUMMARY = "estimate a training step of a full network against a dense array of the same size"
EXAMPLE = (
    "gscn estimate --network resnet50 --method swat --sparsity 0.9 --mode analytic "
    "--json build/resnet50.json"
)
BUFFERS_KIB = (0, 256, 1024, 4096)
MODES = ("statistical", "analytic", "trace")
NETWORK_NAMES = (
    "resnet18, resnet34, resnet50, vgg16, wrn50-2, densenet121; for images of 32 pixels "
    "resnet18-small, resnet20, wrn16-8, wrn28-10, vgg16-small, densenet121-small"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `gscn estimate`."""
    _add_workload_arguments(parser)
    add_preset_arguments(parser, default="large")
    parser.add_argument(
        "--clock-mhz",
        type=real,
        default=1000.0,
        metavar="MHZ",
        help="at which cycles are told as time (default: %(default)g)",
    )
    parser.add_argument(
        "--rivals",
        default="",
        metavar="NAMES",
        help="other accelerators to be given the same layers, with commas between: dense, scnn+, "
        "ant, tensordash, sigma, ideal (default: none)",
    )
    parser.add_argument(
        "--dram",
        type=real,
        metavar="BYTES",
        help="bytes per cycle of a DRAM behind the memory ports, reads and writes together "
        "(default: it is no limit)",
    )
    parser.add_argument(
        "--buffer",
        type=int,
        choices=BUFFERS_KIB,
        metavar="KIB",
        help="with --dram: KiB of a buffer between ports and DRAM, one of "
        f"{', '.join(map(str, BUFFERS_KIB))} (default: 0, none)",
    )
    _add_sampling_arguments(parser)


def _add_workload_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is trained: network, images, method, and where its operands are from."""
    parser.add_argument(
        "--network",
        default="resnet50",
        metavar="NAME",
        help=f"{NETWORK_NAMES}; or a JSON file of layers (default: %(default)s)",
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        help="statistical: samples with operands drawn like real ones, on the cycle model; "
        "analytic: a closed form, at once; trace: a recorded step as a whole, on the cycle model "
        "(default: trace with --trace, else statistical)",
    )
    parser.add_argument(
        "--trace", type=Path, metavar="DIR", help="a trace of `gscn trace`, for the mode of it"
    )
    parser.add_argument(
        "--operands",
        choices=("fitted", "uniform"),
        default="fitted",
        help="statistical mode: how nonzeros are spread in samples; uniform also takes the "
        "utilisation of each sample for that of its layer (default: %(default)s)",
    )
    parser.add_argument(
        "--image-size",
        type=whole(high=1 << 20),
        metavar="PIXELS",
        help="height and width of the images (default: 224, or 32 for the networks of such; a file "
        "has its own sizes)",
    )
    parser.add_argument(
        "--batch",
        type=whole(high=1 << 20),
        default=32,
        metavar="N",
        help="images per batch (default: %(default)s)",
    )
    parser.add_argument(
        "--method",
        choices=("dense", "swat", "resprop", "swat+resprop"),
        default="swat",
        help="what is zeroed (default: %(default)s)",
    )
    parser.add_argument(
        "--sparsity",
        type=real,
        default=0.9,
        metavar="SHARE",
        help="share that the method zeroes (default: %(default)s)",
    )
    parser.add_argument(
        "--activation-density",
        type=real,
        default=1.0,
        metavar="SHARE",
        help="nonzeros that ReLU leaves in a layer's inputs (default: %(default)s)",
    )
    parser.add_argument(
        "--gradients",
        choices=("target", "nominal"),
        default="target",
        help="how dense ReSprop's gradient differences are: as training aims at, 5 points above "
        "1 - sparsity, or the nominal 1 - sparsity (default: %(default)s)",
    )
    parser.add_argument(
        "--gradient-density",
        type=real,
        metavar="SHARE",
        help="nonzeros of ReSprop's gradient differences, instead of --gradients",
    )


def _add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how samples are drawn and measured."""
    parser.add_argument(
        "--sample-products",
        type=whole(),
        metavar="COUNT",
        help="useful products of a sample, at most: more are slower and more exact (default: "
        "16000000, with uniform operands 4000000)",
    )
    parser.add_argument(
        "--samples",
        type=whole(),
        default=24,
        metavar="COUNT",
        help="fitted operands: samples, at most, of the convolutions that take longest; closed "
        "form for the others (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=whole(), default=0, help="of the samples' operands (default: %(default)s)"
    )
    parser.add_argument(
        "--processes",
        type=whole(high=MOST_PROCESSES),
        default=2,
        metavar="COUNT",
        help="(default: %(default)s)",
    )


def run(args: argparse.Namespace) -> Result:
    """Estimate the network that the options describe."""
    from gscn.errors import InputError
    from gscn.perf.estimate.training_step import Mode, assumptions, to_json

    if args.processes < 1:
        raise InputError(f"--processes must be at least 1, not {args.processes}")
    if args.seed < 0:
        raise InputError(f"--seed must be at least 0, not {args.seed}")
    if args.buffer is not None and args.dram is None:
        raise InputError("--buffer needs --dram: it is between the memory ports and that")
    mode = Mode(args.mode or ("trace" if args.trace else "statistical"))
    if (mode is Mode.TRACE) != (args.trace is not None):
        raise InputError("--trace and mode trace need each other")
    if args.operands == "uniform":
        if mode is not Mode.STATISTICAL:
            raise InputError(f"--operands uniform applies to mode statistical, not {mode}")
        mode = Mode.UNIFORM
    config = array(args.config).with_overrides(args.set)
    result = _of_trace(args, config) if args.trace else _of_network(args, config, mode)
    result = dataclasses.replace(result, graph=_graph(result))
    data = to_json(result) | {"seed": args.seed}
    return Result(data=data, text=_report(data, assumptions(result)))


def _dram(args: argparse.Namespace) -> Dram | None:
    """Return what is behind the memory ports."""
    from gscn.perf.estimate.memory import Dram

    if args.dram is None:
        return None
    return Dram(bytes_per_cycle=args.dram, buffer_bytes=(args.buffer or 0) << 10)


def _of_trace(args: argparse.Namespace, config: ArrayConfig) -> NetworkEstimate:
    from gscn.errors import InputError
    from gscn.golden.traces.trace import load_trace
    from gscn.perf.estimate.recorded_step import measure_recorded
    from gscn.perf.estimate.training_step import estimate_recorded

    if args.rivals:
        raise InputError("--rivals does not apply to mode trace")
    return estimate_recorded(
        load_trace(args.trace),
        config,
        clock_hz=args.clock_mhz * 1e6,
        dram=_dram(args),
        measure=partial(measure_recorded, progress=_progress("pass"), dram=_dram(args)),
    )


def _of_network(args: argparse.Namespace, config: ArrayConfig, mode: Mode) -> NetworkEstimate:
    from gscn.errors import InputError
    from gscn.perf.estimate.sampling import SAMPLE_PRODUCTS, STATISTICAL_PRODUCTS, Sampling, measure
    from gscn.perf.estimate.training_step import Mode, estimate
    from gscn.perf.workload.network_file import read_network
    from gscn.perf.workload.networks import NETWORKS, SMALL_NETWORKS, network
    from gscn.perf.workload.sparsification import Method, Sparsification
    from gscn.system.reading import is_there

    if args.network not in NETWORKS and is_there(args.network):
        if args.image_size is not None:
            raise InputError("--image-size does not apply to a network file: it has its own sizes")
        net = read_network(Path(args.network), batch=args.batch)
    else:
        size = args.image_size
        if size is None:
            size = 32 if args.network in SMALL_NETWORKS else 224
        net = network(args.network, image_size=size, batch=args.batch)
    uniform = mode is Mode.UNIFORM
    products = args.sample_products
    if products is None:
        products = SAMPLE_PRODUCTS if uniform else STATISTICAL_PRODUCTS
    return estimate(
        net,
        config,
        Sparsification(
            method=Method(args.method),
            sparsity=args.sparsity,
            activation_density=args.activation_density,
            gradients=args.gradients,
            gradient_density=args.gradient_density,
        ),
        mode=mode,
        rivals=tuple(name for name in args.rivals.split(",") if name),
        clock_hz=args.clock_mhz * 1e6,
        dram=_dram(args),
        sampling=Sampling(
            products=products,
            most=args.samples,
            measure=partial(
                measure,
                seed=args.seed,
                processes=args.processes,
                progress=_progress("sample"),
            ),
        ),
    )


def _progress(noun: str) -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        say(f"\r{noun} {done} of {total}", end=end)

    return show


def _gradients(data: dict) -> str:
    """Say how dense ReSprop's differences are taken to be."""
    density = data["gradient_density"]
    if density is None or "resprop" not in data["method"]:
        return ""
    return f" (gradient differences {100 * density:g} % dense)"


def _coverage(data: dict) -> str:
    """Say of what the totals are."""
    share = data["covered_share"]
    if share is None:
        return "layers listed"
    if not data["omitted"]:
        return "whole network"
    return f"layers listed, {100 * share:.2f} % of the network's MACs"


def _memory_rows(data: dict) -> list[tuple[str, float]]:
    """Return what is read of a compressed byte, and how long DRAM takes by itself."""
    rows = [
        (f"read per operand byte, {behind}, mean of passes", data["reads_per_operand_byte"][size])
        for size, behind in (
            (str(kib << 10), f"buffer of {kib} KiB" if kib else "ports") for kib in BUFFERS_KIB
        )
        if size in data["reads_per_operand_byte"]
    ]
    if data["dram"] is not None:
        read = data["dram_read_bytes"][str(data["dram"]["buffer_bytes"])]
        moved = read + data["write_bytes"]
        rows += [
            ("read from DRAM per operand byte, all passes", read / data["operand_bytes"]),
            ("DRAM alone, million cycles", moved / data["dram"]["bytes_per_cycle"] / 1e6),
        ]
    return rows


def _graph(result: NetworkEstimate) -> Graph | None:
    """Return what a network computes between its layers, if it is one that is known by name."""
    from gscn.golden.networks.catalogue import network_graph
    from gscn.golden.recipe import NETWORKS

    name = result.network.name
    if name.removesuffix("-small") not in NETWORKS:
        return None
    first = result.network.layers[0].shape
    return network_graph(name, image_size=first.h, batch=first.n)


def _report(data: dict, notes: list[str]) -> str:
    rows = []
    for layer in data["layers"]:
        by_pass = {p["pass"]: p["speedup_vs_dense"] for p in layer["passes"]}
        shape = layer["shape"]
        rows.append(
            (
                layer["name"],
                f"{shape['k']}x{shape['c']}x{shape['r']}x{shape['s']}",
                f"{shape['h']}x{shape['w']}",
                by_pass["forward"],
                by_pass.get("input-grad"),
                by_pass.get("weight-grad"),
                layer["training_speedup_vs_dense"],
            )
        )
    layers = table(
        ("layer", "weights", "map", "forward", "input-grad", "weight-grad", "training"),
        rows,
        title=f"{data['network']}, {data['method']} at {data['sparsity']:g}{_gradients(data)}: "
        f"times faster than a dense array of {data['multipliers']} multipliers",
    )
    totals = table(
        (f"{_coverage(data)}, over a dense array", "value"),
        [
            ("forward, times faster", data["forward_speedup_vs_dense"]),
            ("backward, times faster", data["backward_speedup_vs_dense"]),
            ("training, times faster", data["training_speedup_vs_dense"]),
            *whole_rows(data["whole_step"]),
            ("training FLOP reduction, %", 100 * data["training_flop_reduction"]),
            ("inference FLOP reduction, %", 100 * data["inference_flop_reduction"]),
            ("training, million cycles", data["training_cycles"] / 1e6),
            *_memory_rows(data),
            (f"training at {data['clock_hz'] / 1e6:g} MHz, s", data["training_seconds"]),
            *(
                (f"{name}: training, million cycles", cycles["training"] / 1e6)
                for name, cycles in data["rival_cycles"].items()
            ),
        ],
    )
    parts = (layers, totals, whole_step(data["whole_step"]))
    return "\n\n".join((*parts, "Assumptions:\n" + "\n".join(f"- {n}" for n in notes)))
