"""`gscn estimate`: speed-up of training a full network over a dense array."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gscn.cli.result import Result, table
from gscn.config import PRESETS, preset

SUMMARY = "estimate a training step of a full network against a dense array of the same size"
EXAMPLE = "gscn estimate --network resnet50 --method swat --sparsity 0.9 --json build/resnet50.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `gscn estimate`."""
    parser.add_argument(
        "--network",
        default="resnet50",
        metavar="NAME",
        help="resnet18, resnet34, resnet50, vgg16, or a JSON file of layers (default: %(default)s)",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PIXELS",
        help="height and width of the images (default: 224; a file has its own sizes)",
    )
    parser.add_argument(
        "--batch", type=int, default=32, metavar="N", help="images per batch (default: %(default)s)"
    )
    parser.add_argument(
        "--method",
        choices=("dense", "swat", "resprop", "swat+resprop"),
        default="swat",
        help="what is zeroed (default: %(default)s)",
    )
    parser.add_argument(
        "--sparsity",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="share that the method zeroes (default: %(default)s)",
    )
    parser.add_argument(
        "--activation-density",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="nonzeros that ReLU leaves in a layer's inputs (default: %(default)s)",
    )
    parser.add_argument(
        "--gradient-density",
        type=float,
        metavar="SHARE",
        help="nonzeros of ReSprop's gradient differences (default: 1 - sparsity)",
    )
    parser.add_argument(
        "--config",
        default="large",
        metavar="NAME",
        help=f"configuration: {', '.join(PRESETS)} (default: %(default)s)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="override a field of the configuration; may be repeated",
    )
    parser.add_argument(
        "--sample-products",
        type=int,
        default=4_000_000,
        metavar="COUNT",
        help="useful products of a sample, at most: more are slower and more exact "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the samples' operands (default: %(default)s)"
    )
    parser.add_argument(
        "--processes", type=int, default=2, metavar="COUNT", help="(default: %(default)s)"
    )


def run(args: argparse.Namespace) -> Result:
    """Estimate the network that the options describe."""
    from gscn.errors import InputError
    from perf.estimate import assumptions, estimate, to_json
    from perf.flops import Method, Sparsification
    from perf.networks import network, read_network
    from perf.sampling import measure

    if args.network.endswith(".json"):
        if args.image_size is not None:
            raise InputError("--image-size does not apply to a network file: it has its own sizes")
        net = read_network(Path(args.network), batch=args.batch)
    else:
        size = 224 if args.image_size is None else args.image_size
        net = network(args.network, image_size=size, batch=args.batch)
    if args.processes < 1:
        raise InputError(f"--processes must be at least 1, not {args.processes}")
    if args.seed < 0:
        raise InputError(f"--seed must be at least 0, not {args.seed}")
    config = preset(args.config).with_overrides(args.set)
    sparsification = Sparsification(
        method=Method(args.method),
        sparsity=args.sparsity,
        activation_density=args.activation_density,
        gradient_density=args.gradient_density,
    )
    result = estimate(
        net,
        config,
        sparsification,
        sample_products=args.sample_products,
        measure=partial(measure, seed=args.seed, processes=args.processes, progress=_progress()),
    )
    data = to_json(result) | {"seed": args.seed}
    return Result(data=data, text=_report(data, assumptions(result)))


def _progress() -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        end = "\n" if done == total else ""
        sys.stderr.write(f"\rsample {done} of {total}{end}")
        sys.stderr.flush()

    return show


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
                by_pass["weight-grad"],
                layer["training_speedup_vs_dense"],
            )
        )
    layers = table(
        ("layer", "weights", "map", "forward", "input-grad", "weight-grad", "training"),
        rows,
        title=f"{data['network']}, {data['method']} at {data['sparsity']:g}: "
        f"times faster than a dense array of {data['multipliers']} multipliers",
    )
    totals = table(
        ("whole network", "value"),
        [
            ("forward, times faster", data["forward_speedup_vs_dense"]),
            ("backward, times faster", data["backward_speedup_vs_dense"]),
            ("training, times faster", data["training_speedup_vs_dense"]),
            ("training FLOP reduction, %", 100 * data["training_flop_reduction"]),
            ("inference FLOP reduction, %", 100 * data["inference_flop_reduction"]),
        ],
    )
    return "\n\n".join((layers, totals, "Assumptions:\n" + "\n".join(f"- {n}" for n in notes)))
