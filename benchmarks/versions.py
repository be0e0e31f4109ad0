"""Versions of what figures follow from, by what it does rather than by how it is written.

Each is a digest of what one part of the project makes of small fixed inputs: moving a file or
wording a comment leaves it alone, and another cycle, bit or estimate does not. So a published
figure can say what it was made with, and a check can say in seconds that this has changed since.
A change that no probe shows is missed; the tests of the parts are the place for those.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.formats import BF16

DIGITS = 6
"""Significant digits of floats that are compared: the last few may differ between processors."""
TINY = array("tiny")
FLOATS = dataclasses.replace(TINY, float_formats="bf16,fp8_e4m3", ports=2)
SHAPES = (
    ConvShape(n=2, c=3, h=9, w=8, k=4, r=3, s=3, padding=(1, 1)),
    ConvShape(n=1, c=5, h=10, w=9, k=6, r=3, s=2, stride=(2, 2), padding=(1, 0), dilation=(1, 2)),
    ConvShape(n=4, c=8, h=6, w=6, k=16, r=1, s=1, stride=(2, 2)),
)
DENSITIES = (0.4, 0.25)


def digest(parts: Iterable[object]) -> str:
    """Return 12 hexadecimal digits of values: arrays by their bytes, floats by six digits."""
    state = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            data = np.ascontiguousarray(part)
            state.update(f"{data.dtype.str}{data.shape}".encode() + data.tobytes())
        elif isinstance(part, float):
            state.update(f"{part:.{DIGITS}g}".encode())
        else:
            state.update(repr(part).encode())
        state.update(b"\0")
    return state.hexdigest()[:12]


def leaves(value: Any) -> Iterable[object]:
    """Yield the numbers of nested JSON values with their keys; texts are left out."""
    if isinstance(value, dict):
        for key in sorted(value):
            yield key
            yield from leaves(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, bool | int | float) or value is None:
        yield value


def hardware() -> str:
    """Return the version of the netlist of the core."""
    from amaranth.back import rtlil

    from gscn.hw.core.array import Array

    return digest([rtlil.convert(Array(config=FLOATS), emit_src=False)])


def pes() -> str:
    """Return the version of the netlists of a PE, and of one of the dense array."""
    from gscn.hw.dense.dense_pe import DensePe
    from gscn.hw.pe.worker import Worker
    from gscn.rtl_gen.verilog import to_verilog

    parts = (lambda: Worker(config=FLOATS), lambda: DensePe(config=TINY))
    return digest(to_verilog(part, "top").text for part in parts)


@functools.cache
def _images() -> tuple[Any, ...]:
    """Return passes of all kinds, lowered."""
    from gscn.golden.oracle.synthetic import random_codes, random_operands
    from gscn.lowering.pass_image import lower_pass
    from gscn.outputs import FloatOutput, OutputFormat

    found = []
    out = OutputFormat(width=16, shift=4)
    for index, (shape, which) in enumerate(itertools.product(SHAPES, Pass)):
        operands = random_operands(shape, which, *DENSITIES, TINY.format, index)
        found.append(lower_pass(TINY, shape, which, *operands, out))
    for which in Pass:
        codes = random_codes(SHAPES[1], which, *DENSITIES, BF16, 99)
        found.append(lower_pass(FLOATS, SHAPES[1], which, *codes, FloatOutput(operands=BF16)))
    return tuple(found)


def lowering() -> str:
    """Return the version of the memory images and lists of passes that layers become."""
    return digest(
        part
        for image in _images()
        for part in (
            *(image.image, image.memory_bytes, image.descriptor_count),
            *(image.output_ranges, image.useful_products),
        )
    )


def model() -> str:
    """Return the version of cycles, counters and bursts by the cycle model."""
    from gscn.cycles.passes import simulate_passes

    parts: list[object] = []
    for image in _images():
        result = simulate_passes(
            image.config,
            image.image,
            image.descriptors_addr,
            image.descriptor_count,
            image.memory_bytes,
            latency=20,
            bursts=True,
        )
        parts += [result.pass_cycles, result.counters, result.bursts, result.write_beats]
    return digest(parts)


def estimates() -> str:
    """Return the version of estimates of networks, and of the operands that are drawn for them."""
    from gscn.perf.estimate.sampling import Sample, draw_operands
    from gscn.perf.estimate.training_step import Mode, estimate, to_json
    from gscn.perf.workload.networks import network
    from gscn.perf.workload.sparsification import Method, Sparsification

    parts: list[object] = []
    config = array("large")
    for name, size in (("resnet18", 224), ("vgg16-small", 32)):
        for method in (Method.SWAT, Method.RESPROP, Method.SWAT_RESPROP):
            result = estimate(
                network(name, image_size=size, batch=2),
                config,
                Sparsification(method=method, sparsity=0.9, activation_density=0.5),
                mode=Mode.ANALYTIC,
            )
            parts += leaves(to_json(result))
    for which in Pass:
        sample = Sample(shape=SHAPES[0], which=which, first_density=0.3, second_density=0.5)
        parts += [operand != 0 for operand in draw_operands(sample, seed=0)]
    return digest(parts)


def grouped_estimates() -> str:
    """Return the version of estimates of grouped convolutions."""
    from gscn.perf.estimate.closed_form import closed_form_costs
    from gscn.perf.workload.work import Work

    one = ConvShape(n=2, c=48, h=14, w=14, k=48, r=3, s=3, padding=(1, 1), groups=48)
    shapes = (one, dataclasses.replace(one, groups=6, stride=(2, 2)))
    works = [
        Work(shape=shape, which=which, first_density=first, second_density=second)
        for shape, which, (first, second) in itertools.product(
            shapes, Pass, ((0.1, 0.5), (1.0, 1.0))
        )
    ]
    costs = closed_form_costs(array("large"), works)
    return digest(leaves([dataclasses.asdict(cost) for cost in costs]))


def rivals() -> str:
    """Return the version of other accelerators' costs."""
    from gscn.perf.rivals import RIVALS, VARIANTS, Resources

    resources = Resources(multipliers=64, port_bytes_per_cycle=64, value_bits=16)
    rng = np.random.default_rng(0)
    parts: list[object] = []
    for shape, which in itertools.product(SHAPES, Pass):
        masks = [
            rng.random(size) < density
            for size, density in zip(shape.operand_shapes(which), DENSITIES, strict=True)
        ]
        for name, rival in {**RIVALS, **VARIANTS}.items():
            parts += [name, float(rival.cost(resources, shape, which, *masks).cycles)]
    return digest(parts)


def arithmetic() -> str:
    """Return the version of sums and results in floating point, and of conversions to integers."""
    from gscn.golden.oracle.float_conv import conv_windowed, round_sums
    from gscn.golden.oracle.quantize import quantize
    from gscn.golden.oracle.synthetic import random_codes

    parts: list[object] = [quantize(np.linspace(-3, 5, 97), TINY.format).values]
    for which in Pass:
        codes = random_codes(SHAPES[0], which, *DENSITIES, BF16, 7)
        sums = conv_windowed(SHAPES[0], which, *codes, BF16, acc_width=48)
        parts.append(np.asarray(round_sums(sums, BF16)[0]).astype(np.int64))
    return digest(parts)


def formats() -> str:
    """Return the version of what operands of training passes are rounded to and scaled by."""
    import torch

    from gscn.golden.methods.operand_formats import FORMATS, formats_of
    from gscn.golden.methods.options import scales_of

    shape = dataclasses.replace(SHAPES[0], c=33, k=34)
    parts: list[object] = []
    for name, which in itertools.product(FORMATS, Pass):
        operands = [
            torch.linspace(-3, 5, math.prod(size)).reshape(size) ** 7
            for size in shape.operand_shapes(which)
        ]
        for scales in scales_of(name):
            coded = formats_of(name, scales).coded(which, *operands)
            parts += [name, scales, coded.first, coded.second, coded.fmt.name, coded.exponent]
    return digest(parts)


def training() -> str:
    """Return the version of training by every method.

    Weights, images and gradients are small integers times powers of two, which torch adds exactly
    in whatever order, so that no processor rounds.
    """
    import torch

    from gscn import golden
    from gscn.golden.methods.resprop import GradientReuse
    from gscn.golden.methods.schedule import begin_iteration

    parts: list[object] = []
    for method in ("swat", "resprop", "swat+resprop", "dst"):
        generator = torch.Generator().manual_seed(0)

        def integers(*size: int, generator: torch.Generator = generator) -> torch.Tensor:
            return torch.randint(-3, 4, size, generator=generator).double()

        model = torch.nn.Sequential(
            torch.nn.Conv2d(2, 4, 3, padding=1, bias=False),
            torch.nn.ReLU(),
            torch.nn.Conv2d(4, 4, 3, stride=2, padding=1, bias=False),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(36, 3, bias=False),
        ).double()
        for weight in model.parameters():
            weight.data = integers(*weight.shape)
        options = {} if method == "dst" else {"sparsity": 0.5}
        golden.sparsify(model, method, **options)
        for module in model.modules():
            if isinstance(module, GradientReuse):
                # Among the gradients of this probe, so that its halving and doubling matters.
                module.threshold.fill_(1.0)
        for iteration in range(4):
            begin_iteration(model, epoch=0, iteration=iteration + 1, iterations_per_epoch=9)
            model.zero_grad()
            (model(integers(4, 2, 6, 6)) * integers(4, 3)).sum().backward()
            for weight in model.parameters():
                parts.append(weight.grad.numpy().copy())
                weight.data -= (weight.grad.sign() / 8).to(weight)
        parts.append(method)
    return digest(parts)


def budgets() -> str:
    """Return the version of how SWAT shares out the weights that it keeps."""
    from fractions import Fraction

    from gscn.golden.methods.budgets import erk_densities, momentum_budgets

    shapes = [(8, 3, 3, 3), (16, 8, 3, 3), (16, 16, 3, 3), (10, 16)]
    sizes = [math.prod(shape) for shape in shapes]
    return digest(
        [
            *(erk_densities(shapes, Fraction(percent, 100)) for percent in (10, 20, 60)),
            *(
                momentum_budgets(sizes, momenta, sum(sizes) * percent // 100)
                for momenta in ([4.0, 2.0, 1.0, 1.0], [1.0, 1.0, 1.0, 30.0], [9.0, 8.0, 0.0, 0.5])
                for percent in (10, 30, 70)
            ),
        ]
    )


PROBES: dict[str, Callable[[], str]] = {
    one.__name__: one
    for one in (
        hardware,
        pes,
        lowering,
        model,
        estimates,
        grouped_estimates,
        rivals,
        arithmetic,
        formats,
        training,
        budgets,
    )
}


@functools.cache
def version(name: str) -> str:
    """Return the version of a part, a key of `PROBES`, as the tree has it now."""
    return PROBES[name]()
