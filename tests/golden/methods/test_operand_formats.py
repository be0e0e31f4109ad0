"""Operands of passes in narrow formats, and scaled tensors, against ml_dtypes and torch."""

from __future__ import annotations

import dataclasses

import ml_dtypes
import numpy as np
import pytest
import torch

from gscn.conv import ConvShape, Pass
from gscn.errors import InputError
from gscn.formats import FLOAT_OPERAND_FORMATS, FP8_E4M3, FP8_E5M2, FP16, FloatFormat
from gscn.golden.methods.accelerator_arithmetic import WindowedArithmetic
from gscn.golden.methods.operand_formats import FORMATS, OperandFormats, formats_of
from gscn.golden.oracle.floats import decode, encode
from gscn.golden.oracle.integers import convolve
from gscn.golden.oracle.microscaling import to_blocks

SHAPE = ConvShape(n=3, c=5, h=6, w=5, k=4, r=3, s=2, padding=(1, 1))
OTHERS = {
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
}
WANTED = {
    "bf16": ("bf16", "bf16", "bf16"),
    "fp16": ("fp16", "fp16", "fp16"),
    "fp8": ("fp8_e4m3", "fp8_e4m3", "fp8_e5m2"),
    "fp8_e4m3": ("fp8_e4m3", "fp8_e4m3", "fp8_e4m3"),
    "fp8_e5m2": ("fp8_e4m3", "fp8_e5m2", "fp8_e5m2"),
}
"""Of weights and activations forward, backward, and of output gradients."""
SCALED = tuple(name for name in WANTED if name != "bf16")


def operands(which: Pass, size: float = 1.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [size * torch.randn(shape, generator=generator) for shape in SHAPE.operand_shapes(which)]


def names(formats: str, which: Pass) -> tuple[str, str]:
    forward, backward, gradients = WANTED[formats]
    return {
        Pass.FORWARD: (forward, forward),
        Pass.INPUT_GRAD: (backward, gradients),
        Pass.WEIGHT_GRAD: (gradients, backward),
    }[which]


def other_rounding(values: torch.Tensor, name: str) -> np.ndarray:
    """Scale as far as ml_dtypes still rounds to a finite number, round, and scale back."""
    exact = values.double().numpy()
    most = float(ml_dtypes.finfo(OTHERS[name]).max)
    exponent = next(e for e in range(200, -200, -1) if np.abs(exact).max() * 2.0**e <= most)
    scaled = (exact * 2.0**exponent).astype(np.float32).astype(OTHERS[name])
    return scaled.astype(np.float64) * 2.0**-exponent


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("formats", SCALED)
def test_passes_of_scaled_tensors_are_those_of_the_rounded_numbers(formats, which):
    # Beyond what e4m3 and fp16 have without scales.
    pair = operands(which, 2.0**-20)
    found = WindowedArithmetic(formats=formats_of(formats, "amax")).convolve(which, SHAPE, *pair)
    rounded = [
        other_rounding(one, name) for one, name in zip(pair, names(formats, which), strict=True)
    ]
    exact = convolve(SHAPE, which, *map(torch.from_numpy, rounded))
    assert found.dtype == torch.float32
    # Rounded once, and what the window drops: less than 2**-27 of the largest result's products.
    limit = 2.0**-24 * exact.abs() + 2.0**-27 * exact.abs().max()
    assert ((found.double() - exact).abs() <= limit).all()
    assert found.abs().max() > 0


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("formats", SCALED)
def test_scaled_tensors_have_the_same_bits_at_any_magnitude(formats, which):
    arithmetic = WindowedArithmetic(formats=formats_of(formats, "amax"))
    first, second = operands(which)
    one = arithmetic.convolve(which, SHAPE, first, second)
    other = arithmetic.convolve(which, SHAPE, first * 2.0**-40, second * 2.0**30)
    assert torch.equal(other * 2.0**10, one)


def test_without_scales_small_numbers_are_lost():
    small = operands(Pass.FORWARD, 2.0**-20)
    plain, scaled = (
        WindowedArithmetic(formats=formats_of("fp8", scales)).convolve(Pass.FORWARD, SHAPE, *small)
        for scales in ("none", "amax")
    )
    assert not plain.any()
    assert scaled.any()


@pytest.mark.parametrize("which", Pass)
@pytest.mark.parametrize("formats", ["fp8", "fp8_e4m3", "fp8_e5m2"])
def test_passes_of_blocks_are_those_of_the_numbers_of_their_codes_and_scales(formats, which):
    shape = dataclasses.replace(SHAPE, c=40, k=33)
    generator = torch.Generator().manual_seed(8)
    # Channels of many magnitudes, which one scale could not have.
    pair = [
        torch.randn(size, generator=generator)
        * 2.0 ** torch.randint(-40, 20, (size[1], 1, 1), generator=generator)
        for size in shape.operand_shapes(which)
    ]
    arithmetic = WindowedArithmetic(formats=formats_of(formats, "mx"), acc_width=64)
    found = arithmetic.convolve(which, shape, *pair)
    axes = (0 if which is Pass.FORWARD else 1, 1)
    values = []
    for one, name, axis in zip(pair, names(formats, which), axes, strict=True):
        blocks = to_blocks(one.numpy(), FLOAT_OPERAND_FORMATS[name], axis, clamps=False)
        scales = blocks.scales.view(ml_dtypes.float8_e8m0fnu).astype(np.float64)
        elements = blocks.codes.view(OTHERS[name]).astype(np.float64)
        values.append(elements * scales.repeat(32, axis).take(range(one.shape[axis]), axis))
        # Nothing is clamped: the largest numbers are rounded as all are.
        fraction = FLOAT_OPERAND_FORMATS[name].significand_width
        assert np.abs(values[-1] - one.numpy()).max() <= 2.0**-fraction * one.abs().max()
    exact = convolve(shape, which, *map(torch.from_numpy, values))
    limit = 2.0**-24 * exact.abs() + 2.0**-40 * exact.abs().max()
    assert ((found.double() - exact).abs() <= limit).all()


@pytest.mark.parametrize("fmt", [FP8_E4M3, FP8_E5M2], ids=lambda fmt: fmt.name)
def test_fp16_has_every_number_of_both_formats_of_8_bits(fmt: FloatFormat):
    values = decode(np.arange(256, dtype=np.uint8), fmt)
    assert np.array_equal(decode(encode(values, FP16).codes, FP16), values, equal_nan=True)


def test_a_pass_of_two_formats_has_codes_of_fp16_and_others_their_own():
    found = {name: [formats_of(name).of_codes(which).name for which in Pass] for name in FORMATS}
    assert found == {
        "bf16": ["bf16"] * 3,
        "fp16": ["fp16"] * 3,
        "fp8": ["fp8_e4m3", "fp16", "fp16"],
        "fp8_e4m3": ["fp8_e4m3"] * 3,
        "fp8_e5m2": ["fp8_e4m3", "fp8_e5m2", "fp8_e5m2"],
    }
    for which in Pass:
        assert formats_of("fp8", "mx").of_codes(which).name == "bf16"
    for name in FORMATS:
        assert [fmt.name for fmt in formats_of(name).on_the_array] == list(
            dict.fromkeys(found[name])
        )
        assert formats_of(name).scales == ("amax" if name.startswith("fp8") else "none")


def test_zeros_and_specials_are_not_scaled_away():
    shape = ConvShape(n=1, c=1, h=1, w=4, k=1, r=1, s=1)
    arithmetic = WindowedArithmetic(formats=formats_of("fp8"))
    inputs = torch.tensor([float("inf"), 0.0, 2.0**-30, float("nan")]).reshape(1, 1, 1, 4)
    weight = torch.full((1, 1, 1, 1), -3.0)
    found = arithmetic.convolve(Pass.FORWARD, shape, weight, inputs).flatten()
    assert found[1:3].tolist() == [0.0, -3 * 2.0**-30]
    # e4m3 has no infinity.
    assert found[0].isnan()
    assert found[3].isnan()
    assert not arithmetic.convolve(Pass.FORWARD, shape, weight, torch.zeros(1, 1, 1, 4)).any()


def test_what_there_is_not_or_would_overflow_is_refused():
    with pytest.raises(InputError, match="scales must be none or amax or mx, not 'history'"):
        formats_of("fp8", "history")
    with pytest.raises(InputError, match="scales must be none, not 'amax'"):
        OperandFormats(scales="amax")
    with pytest.raises(InputError, match="scales must be none or amax, not 'mx'"):
        formats_of("fp16", "mx")
    with pytest.raises(InputError, match="result_format must be float32 or bf16 with scales"):
        WindowedArithmetic(formats=formats_of("fp8_e4m3"), result_format=FP8_E4M3)
    with pytest.raises(InputError, match=r"formats must be one of bf16, fp16, .*, not 'fp4'"):
        formats_of("fp4")
