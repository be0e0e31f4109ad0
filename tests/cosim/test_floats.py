"""Floating point on the generated accelerator, against the golden model and plain integers."""

from dataclasses import replace

import numpy as np
import pytest

from gscn import latencies
from gscn.array import ARRAYS
from gscn.conv import ConvShape, Pass
from gscn.cosim.builds.simulator import build
from gscn.cosim.layer import PassInput, check_passes, traced_inputs
from gscn.errors import InputError
from gscn.formats import BF16, FLOAT32, FLOAT_OPERAND_FORMATS
from gscn.golden.oracle.synthetic import random_codes, random_operands
from gscn.golden.recipe import Recipe
from gscn.golden.traces.arrays import LayerTrace, PassTrace
from gscn.golden.traces.recording import trace_step
from gscn.golden.traces.trace import load_trace
from gscn.golden.traces.writing import write_trace
from gscn.golden.training.training import Trainer
from gscn.lowering.pass_image import lower_pass
from gscn.outputs import OutputFormat

pytestmark = pytest.mark.cosim
DEEPER = (
    latencies.RING_FLOAT_LATENCY
    - latencies.RING_LATENCY
    + latencies.RESULT_FLOAT_LATENCY
    - latencies.RESULT_LATENCY
)
"""Stages that a product and its result pass, more than of integers."""

FORMATS = tuple(FLOAT_OPERAND_FORMATS.values())
TINY = replace(ARRAYS["tiny"], float_formats=",".join(FLOAT_OPERAND_FORMATS))
CONFIGS = {"tiny": TINY, "one PE": replace(TINY, clusters=1, pes=1)}
SHAPES = {
    "3x3": ConvShape(n=2, c=4, h=7, w=6, k=4, r=3, s=3, padding=(1, 1)),
    "strided": ConvShape(n=1, c=3, h=9, w=8, k=5, r=3, s=3, stride=(2, 2), padding=(1, 1)),
    "1x1": ConvShape(n=2, c=9, h=5, w=5, k=7, r=1, s=1),
    "groups": ConvShape(n=1, c=6, h=6, w=5, k=9, r=3, s=3, padding=(1, 1), groups=3),
}


@pytest.fixture(scope="module")
def simulators():
    return {name: build(config) for name, config in CONFIGS.items()}


def random_inputs(fmt):
    """Return passes of ordinary numbers, and of all codes: subnormals, infinities, NaN."""
    return [
        PassInput(
            layer=f"{name}, {'every code' if every else 'normal'}",
            shape=shape,
            which=which,
            fmt=fmt,
            **dict(
                zip(
                    ("first", "second"),
                    random_codes(shape, which, 0.3, 0.4, fmt, 11, every_code=every),
                    strict=True,
                )
            ),
        )
        for name, shape in SHAPES.items()
        for which in Pass
        for every in (False, True)
    ]


def traced(tmp_path, rng, fmt):
    """Return the passes of a trace, with magnitudes as wide apart as those of gradients."""
    shape = SHAPES["strided"]
    passes = {}
    for which in Pass:
        first, second = (
            (rng.standard_normal(size) * 10.0 ** rng.integers(-6, 1, size)).astype(np.float32)
            * (rng.random(size) < 0.4)
            for size in shape.operand_shapes(which)
        )
        result = np.zeros(shape.result_shape(which), np.float32)  # not looked at here
        passes[which] = PassTrace(
            which=which, first=first, second=second, result=result, precomputed=None
        )
    write_trace(
        tmp_path / "trace",
        [LayerTrace(name="layer", shape=shape, passes=passes)],
        network="test",
        dataset="noise",
        method="dense",
        sparsity=0.0,
        step=0,
        seed=0,
        dense_iteration=False,
    )
    return traced_inputs(load_trace(tmp_path / "trace"), TINY, ["layer"], fmt=fmt)


@pytest.mark.parametrize(
    "fmt",
    [
        pytest.param(fmt, id=name, marks=() if name in ("bf16", "fp8_e4m3") else pytest.mark.slow)
        for name, fmt in FLOAT_OPERAND_FORMATS.items()
    ],
)
def test_every_pass_equals_the_golden_model_on_any_number_of_pes(simulators, tmp_path, rng, fmt):
    inputs = [*random_inputs(fmt), *traced(tmp_path, rng, fmt)]
    for result_format in dict.fromkeys((FLOAT32, BF16, fmt)):
        results = []
        for name, simulator in simulators.items():
            outcomes = check_passes(
                CONFIGS[name], inputs, result_format=result_format, simulator=simulator
            )
            for outcome in outcomes:
                label = f"{name}: {outcome.source.layer} {outcome.source.which}"
                assert outcome.comparison.good, f"{label}: {outcome.comparison.details}"
                assert outcome.result_format == result_format
                assert not outcome.run.flags["accumulator_overflow"], label
                special = "every code" in outcome.source.layer
                assert outcome.run.flags["nonfinite"] <= special, label
                assert outcome.model.cycles == outcome.run.cycles, label
                for index, values in enumerate(outcome.run.counters.values()):
                    assert outcome.model.counters[:, index].tolist() == values, label
                for index, values in enumerate(outcome.run.events.values()):
                    assert outcome.model.events[:, index].tolist() == values, label
            assert any(outcome.run.flags["nonfinite"] for outcome in outcomes)
            results.append([outcome.result for outcome in outcomes])
        for one, other in zip(*results, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_one_pe_and_large_give_the_same_bits_on_a_training_step(tmp_path):
    trainer = Trainer(Recipe(method="swat+resprop", sparsity=0.9, batch_size=8))
    for _ in trainer.run(20):
        pass
    trace = trace_step(trainer, tmp_path / "trace")
    layers = sorted(trace.layers, key=lambda name: trace.entry(name).shape.dense_macs)[:4]
    large = replace(ARRAYS["large"], float_formats=TINY.float_formats)
    configs = {"one PE": CONFIGS["one PE"], "large": large}
    simulators = {name: build(config) for name, config in configs.items()}
    for fmt in FORMATS:
        inputs = [*random_inputs(fmt), *traced_inputs(trace, large, layers, fmt=fmt)]
        results = []
        for name, simulator in simulators.items():
            outcomes = check_passes(configs[name], inputs, simulator=simulator)
            for outcome in outcomes:
                label = f"{name}: {outcome.source.layer} {outcome.source.which}"
                assert outcome.comparison.good, f"{label}: {outcome.comparison.details}"
                assert outcome.model.cycles == outcome.run.cycles, label
            results.append([outcome.result for outcome in outcomes])
        for one, other in zip(*results, strict=True):
            np.testing.assert_array_equal(one, other)


def test_floats_and_integers_of_one_pattern_take_the_same_cycles(simulators):
    """A core with float formats takes the same time for integers; of the core without, a little."""
    shape = SHAPES["3x3"]
    plain = build(ARRAYS["tiny"])
    for which in Pass:
        integers = random_operands(shape, which, 0.3, 0.4, TINY.format, 5)
        codes = random_codes(shape, which, 0.3, 0.4, BF16, 5)
        inputs = [
            PassInput(layer="layer", shape=shape, which=which, first=pair[0], second=pair[1], fmt=f)
            for pair, f in ((integers, None), (codes, BF16))
        ]
        as_integers, as_floats = check_passes(TINY, inputs, simulator=simulators["tiny"])
        (without,) = check_passes(ARRAYS["tiny"], inputs[:1], simulator=plain)
        assert as_integers.useful_products == as_floats.useful_products
        assert as_integers.run.cycles == as_floats.run.cycles
        assert as_integers.comparison.good
        assert as_floats.comparison.good
        # in each pass of the list, the last products and the drain of a tile come later, and those
        # of the next that waits
        lowered = lower_pass(ARRAYS["tiny"], shape, which, *integers, OutputFormat(width=32))
        slower = as_integers.run.cycles - without.run.cycles
        assert 0 <= slower <= 2 * DEEPER * lowered.descriptor_count


def test_a_format_that_the_core_lacks_is_refused(simulators):
    one = random_inputs(BF16)[0]
    config = replace(TINY, float_formats="fp16")
    with pytest.raises(InputError, match="float_formats must contain bf16, not be 'fp16'"):
        check_passes(config, [one], simulator=simulators["tiny"])
