"""`gscn estimate`: speed-up of training a full network over a dense array."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.array import ArrayConfig, array
from gscn.command.estimate_text import BUFFERS_KIB
from gscn.command.numbers import MOST_PROCESSES, real, whole
from gscn.command.options import add_output_file, add_preset_arguments
from gscn.command.result import Result
from gscn.command.standard_files import say

if TYPE_CHECKING:
    from gscn.command.analysis import Analysis
    from gscn.perf.estimate.memory import Dram
    from gscn.perf.estimate.training_step import Mode

SUMMARY = "estimate a training step of a full network against a dense array of the same size"
EXAMPLE = (
    "gscn estimate --model torchvision:resnet50 --method swat --sparsity 0.9 --mode analytic "
    "--json build/resnet50.json"
)
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
    add_output_file(
        parser, "--export", help="also write the network's table of layers, which --model reads"
    )
    add_output_file(parser, "--report", help="also write a page with drawings (HTML)")


def _add_workload_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what is trained: network, images, method, and where its operands are from."""
    parser.add_argument(
        "--model",
        default="resnet50",
        metavar="MODEL",
        help=f"{NETWORK_NAMES}; torchvision:NAME, timm:NAME, package.module:NAME; or a file: .pt2 "
        "of torch.export, .onnx, .csv of SCALE-Sim, .yaml of Timeloop, .json "
        "(default: %(default)s)",
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
        help="height and width of the images (default: what is customary for the network; files "
        "have their own sizes)",
    )
    parser.add_argument(
        "--batch",
        type=whole(high=1 << 20),
        metavar="N",
        help="images per batch (default: 32, or those of the file)",
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
    from gscn.errors import InputError, OutputError
    from gscn.perf.estimate.training_step import Mode
    from gscn.system.files import write_files

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
    result = _of_trace(args, config) if args.trace else _of_model(args, config, mode)
    files = {}
    if args.export is not None:
        files[args.export] = result.table_text()
    if args.report is not None:
        files[args.report] = result.page()
    problems = []
    try:
        write_files(files)
    except OutputError as error:
        problems.append(str(error))
    data = result.data | {"seed": args.seed}
    return Result(data=data, text=str(result), problems=tuple(problems))


def _dram(args: argparse.Namespace) -> Dram | None:
    """Return what is behind the memory ports."""
    from gscn.perf.estimate.memory import Dram

    if args.dram is None:
        return None
    return Dram(bytes_per_cycle=args.dram, buffer_bytes=(args.buffer or 0) << 10)


def _of_trace(args: argparse.Namespace, config: ArrayConfig) -> Analysis:
    from gscn.command.analysis import Analysis
    from gscn.errors import InputError
    from gscn.golden.traces.trace import load_trace
    from gscn.perf.estimate.recorded_step import measure_recorded
    from gscn.perf.estimate.training_step import estimate_recorded

    if args.rivals:
        raise InputError("--rivals does not apply to mode trace")
    return Analysis.of(
        estimate_recorded(
            load_trace(args.trace),
            config,
            clock_hz=args.clock_mhz * 1e6,
            dram=_dram(args),
            measure=partial(measure_recorded, progress=_progress("pass"), dram=_dram(args)),
        )
    )


def _of_model(args: argparse.Namespace, config: ArrayConfig, mode: Mode) -> Analysis:
    from gscn.command.analysis import analyse
    from gscn.perf.estimate.sampling import SAMPLE_PRODUCTS, STATISTICAL_PRODUCTS, Sampling, measure
    from gscn.perf.estimate.training_step import Mode
    from gscn.perf.workload.sparsification import Method, Sparsification

    products = args.sample_products
    if products is None:
        products = SAMPLE_PRODUCTS if mode is Mode.UNIFORM else STATISTICAL_PRODUCTS
    return analyse(
        args.model,
        batch=args.batch,
        image_size=args.image_size,
        config=config,
        method=Sparsification(
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
