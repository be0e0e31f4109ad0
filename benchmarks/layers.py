"""Utilisation and speed of the cycle model on single layers, uniformly random operands.

The first layer is the one on which public simulators have been compared: ResNet-18 conv2_x, 3x3, 64
to 64 channels, 56x56, batch 1.
"""

from __future__ import annotations

import time

from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.perf.estimate.sampling import Sample, choose_sample, measure_sample
from gscn.perf.workload.work import Work

LAYERS = {
    "conv2_x 3x3 64-64 56x56": ConvShape(n=1, c=64, h=56, w=56, k=64, r=3, s=3, padding=(1, 1)),
    "conv4_x 3x3 256-256 14x14": ConvShape(n=1, c=256, h=14, w=14, k=256, r=3, s=3, padding=(1, 1)),
    "1x1 256-64 28x28": ConvShape(n=1, c=256, h=28, w=28, k=64, r=1, s=1),
    "3x3 stride 2 128-128 28x28": ConvShape(
        n=1, c=128, h=28, w=28, k=128, r=3, s=3, stride=(2, 2), padding=(1, 1)
    ),
}
DENSITY = 0.1
"""Of both operands."""
CONFIG = "large"


SAMPLE_SIZES = (500_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000)


def compute(name: str, which: Pass) -> dict[str, object]:
    """Measure one pass of one layer; return plain JSON values.

    `seconds` is the time to draw the operands, lower them and run the cycle model.
    """
    sample = Sample(shape=LAYERS[name], which=which, first_density=DENSITY, second_density=DENSITY)
    start = time.perf_counter()
    measured = measure_sample(array(CONFIG), sample, seed=0)
    seconds = time.perf_counter() - start
    return {
        "layer": name,
        "pass": str(which),
        "useful_products": measured.useful_products,
        "cycles": measured.cycles,
        "utilization": measured.utilization,
        "speedup_vs_one_product_per_multiplier": (
            sample.shape.dense_macs / measured.multipliers / measured.cycles
        ),
        "seconds": seconds,
    }


def sample_size(products: int) -> dict[str, object]:
    """Measure a sample of ResNet-50's layer3.1.conv1 (1x1, 1024 to 256 channels, SWAT at 0.9).

    Shows how far a sample of at most `products` useful products understates the utilisation.
    """
    shape = ConvShape(n=32, c=1024, h=14, w=14, k=256, r=1, s=1)
    work = Work(shape=shape, which=Pass.FORWARD, first_density=0.1, second_density=1.0)
    measured = measure_sample(array(CONFIG), choose_sample(work, products=products), seed=0)
    return {
        "at_most": products,
        "useful_products": measured.useful_products,
        "cycles": measured.cycles,
        "utilization": measured.utilization,
    }
