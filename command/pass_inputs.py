"""Passes that a command takes: of a recorded step, or of a layer with random operands."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from gscn.array import ArrayConfig
from gscn.command.numbers import MOST, real, whole
from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import FLOAT32, FLOAT_OPERAND_FORMATS, FloatFormat

if TYPE_CHECKING:
    from gscn.cosim.layer import PassInput

ALL = "all"
MOST_VALUES = 1 << 26
"""Of a synthetic layer: drawn, lowered and compared, they take some 2 GB."""
DENSITY = 0.1


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that choose passes and their operands."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--trace", type=Path, metavar="DIR", help="trace of `gscn trace`")
    source.add_argument("--conv", metavar="N,C,H,W,K,R,S", help="shape of a synthetic layer")
    parser.add_argument("--layer", metavar="NAME", help="layer of the trace (default: all)")
    for name, default in (("stride", "1"), ("padding", "0"), ("dilation", "1")):
        parser.add_argument(
            f"--{name}", metavar="A[,B]", help=f"vertical[,horizontal] (default: {default})"
        )
    parser.add_argument(
        "--groups", type=whole(1), metavar="G", help="of channels, C and K multiples (default: 1)"
    )
    for name, which in (("a", "first"), ("b", "second")):
        parser.add_argument(
            f"--density-{name}",
            type=real,
            metavar="X",
            help=f"share of nonzeros of the {which} operand: weights first, then inputs; in the "
            f"weight gradient output gradients first (default: {DENSITY})",
        )
    parser.add_argument(
        "--seed", type=whole(), default=0, metavar="N", help="of operands and stalls (default: 0)"
    )
    parser.add_argument(
        "--pass", dest="which", default=ALL, choices=[*map(str, Pass), ALL], help="default: all"
    )


def add_result_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how results are rounded."""
    parser.add_argument(
        "--output-width",
        type=int,
        choices=(16, 32),
        default=32,
        help="bits of results of integers (default: 32)",
    )
    parser.add_argument(
        "--result-format",
        choices=[FLOAT32.name, *FLOAT_OPERAND_FORMATS],
        default=FLOAT32.name,
        help="results in floating point: float32, bf16 or the operands' format (default: float32)",
    )


def result_format(args: argparse.Namespace) -> FloatFormat:
    """Return the format of results in floating point."""
    name = args.result_format
    return FLOAT32 if name == FLOAT32.name else FLOAT_OPERAND_FORMATS[name]


def chosen_inputs(args: argparse.Namespace, config: ArrayConfig) -> list[PassInput]:
    """Return the passes that the arguments choose, with their operands."""
    return (_synthetic_inputs if args.trace is None else _traced_inputs)(args, config)


def _numbers(name: str, text: str, counts: tuple[int, ...], form: str) -> tuple[int, ...]:
    try:
        # Very many digits take long.
        numbers = tuple(int(part) for part in text.split(",") if len(part) < 40)
    except ValueError:
        numbers = ()
    if len(numbers) not in counts or max(map(abs, numbers)) > MOST:
        raise InputError(f"--{name} must be {form} in whole numbers, not {text[:200]!r}")
    return numbers


def _pair(args: argparse.Namespace, name: str, default: str) -> tuple[int, int]:
    given = getattr(args, name)
    numbers = _numbers(name, default if given is None else given, (1, 2), "A or A,B")
    return (numbers[0], numbers[-1])


def _shape(args: argparse.Namespace) -> ConvShape:
    n, c, h, w, k, r, s = _numbers("conv", args.conv, (7,), "N,C,H,W,K,R,S")
    shape = ConvShape(
        n=n,
        c=c,
        h=h,
        w=w,
        k=k,
        r=r,
        s=s,
        stride=_pair(args, "stride", "1"),
        padding=_pair(args, "padding", "0"),
        dilation=_pair(args, "dilation", "1"),
        groups=args.groups or 1,
    )
    values = sum(map(math.prod, (shape.x_shape, shape.w_shape, shape.y_shape)))
    if values > MOST_VALUES:
        raise InputError(
            f"--conv must have at most {MOST_VALUES} inputs, weights and outputs, not {values}"
        )
    return shape


def _synthetic_inputs(args: argparse.Namespace, config: ArrayConfig) -> list[PassInput]:
    from gscn.cosim.layer import PassInput
    from gscn.golden.oracle.synthetic import random_codes, random_operands

    if args.layer is not None:
        raise InputError("--layer names a layer of a trace, so it must not stand with --conv")
    shape = _shape(args)
    densities = [DENSITY if d is None else d for d in (args.density_a, args.density_b)]
    inputs = []
    for which in Pass if args.which == ALL else [Pass(args.which)]:
        fmt = FLOAT_OPERAND_FORMATS.get(args.format)
        first, second = (
            random_operands(shape, which, *densities, config.format, args.seed)
            if fmt is None
            else random_codes(shape, which, *densities, fmt, args.seed)
        )
        inputs.append(
            PassInput(
                layer="synthetic", shape=shape, which=which, first=first, second=second, fmt=fmt
            )
        )
    return inputs


def _traced_inputs(args: argparse.Namespace, config: ArrayConfig) -> list[PassInput]:
    from gscn.cosim.layer import traced_inputs
    from gscn.golden.traces.trace import load_trace

    for name in ("stride", "padding", "dilation", "groups", "density_a", "density_b"):
        if getattr(args, name) is not None:
            option = name.replace("_", "-")
            raise InputError(f"--{option} belongs to --conv, so it must not stand with --trace")
    trace = load_trace(args.trace)
    layers = trace.layers if args.layer is None else [args.layer]
    which = None if args.which == ALL else Pass(args.which)
    return traced_inputs(trace, config, layers, which, FLOAT_OPERAND_FORMATS.get(args.format))
