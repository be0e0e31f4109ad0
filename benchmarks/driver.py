"""What a driver does for a pass, per pass: plan and descriptor, in time and bytes.

`python -m benchmarks.driver` prints them for the layers of a ResNet-18 for 32x32 images, batch 32,
on the array `large`. Plans are made anew, as for a layer or density that was not there before; a
driver that keeps them pays for the descriptor only, which is measured apart. To be taken on an idle
machine.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence

from benchmarks.markdown import table
from gscn.array import array
from gscn.conv import ConvShape, Pass
from gscn.lowering.descriptor import Numbers, descriptors
from gscn.lowering.plan import forget_plans, plan_pass
from gscn.passes import DESCRIPTOR_BYTES

BATCH = 32
DENSITIES = ((0.1, 0.5), (0.1, 0.2), (0.03, 0.1))
REPEATS = 5
NUMBERS = Numbers(out_format=0, shift=0, number_format=0, window=0, out_bytes=2)
_OPERANDS = (0, 0, 0, 0, 0, 0)
"""Addresses take no part in the time."""


def layers() -> dict[str, ConvShape]:
    """Return one convolution of each shape in the network."""
    found = {"stem": _conv(3, 64, 32, 3, 1)}
    channels, size = 64, 32
    for stage in range(1, 5):
        if stage > 1:
            found[f"stage {stage}, first"] = _conv(channels, 2 * channels, size, 3, 2)
            found[f"stage {stage}, shortcut"] = _conv(channels, 2 * channels, size, 1, 2)
            channels, size = 2 * channels, size // 2
        found[f"stage {stage}"] = _conv(channels, channels, size, 3, 1)
    return found


def _conv(channels: int, kernels: int, size: int, taps: int, stride: int) -> ConvShape:
    pad = taps // 2
    return ConvShape(
        n=BATCH, c=channels, h=size, w=size, k=kernels, r=taps, s=taps,
        stride=(stride, stride), padding=(pad, pad),
    )  # fmt: skip


def read_bytes(shape: ConvShape, passes: int) -> int:
    """Return the bytes that a driver reads for a pass, 8 a number: all that it is given.

    The shape, which pass it is, the nonzeros of both operands, `Numbers`, where results go, and for
    each part with operands of its own where their strips and tables are and how long they are.

    Parameters
    ----------
    shape
        Of the convolution.
    passes
        Parts with operands of their own.
    """
    sizes = dataclasses.astuple(shape)
    numbers = sum(len(one) if isinstance(one, tuple) else 1 for one in sizes)
    counts = len(("which", "first nonzeros", "second nonzeros", "results"))
    return 8 * (numbers + counts + len(NUMBERS) + passes * len(_OPERANDS))


def compute(repeats: int = REPEATS, name: str = "large") -> list[dict[str, object]]:
    """Measure every layer and pass; the median over densities and repeats."""
    config = array(name)
    rows = []
    for layer, shape in layers().items():
        for which in Pass:
            planned, described, size = [], [], 0
            for densities in DENSITIES * (1 + repeats):
                forget_plans()
                start = time.perf_counter()
                plan = plan_pass(config, shape, which, densities, out_bytes=NUMBERS.out_bytes)
                middle = time.perf_counter()
                made = [descriptors(config, part, NUMBERS, _OPERANDS, 0) for part in plan.parts]
                described.append(time.perf_counter() - middle)
                planned.append(middle - start)
                size = sum(len(one) for some, _ in made for one in some)
            # The first of each has to warm up: compiled functions are loaded, caches filled.
            planned, described = planned[len(DENSITIES) :], described[len(DENSITIES) :]
            rows.append(
                {
                    "layer": layer,
                    "pass": str(which),
                    "plan_us": 1e6 * statistics.median(planned),
                    "descriptor_us": 1e6 * statistics.median(described),
                    "descriptor_bytes": size,
                    "read_bytes": read_bytes(shape, len(plan.parts)),
                }
            )
    return rows


def render(rows: Sequence[dict]) -> str:
    """Return the measurements as Markdown."""
    lines = [
        (
            row["layer"],
            row["pass"],
            f"{row['plan_us']:.1f}",
            f"{row['descriptor_us']:.1f}",
            str(row["descriptor_bytes"]),
            str(row["read_bytes"]),
        )
        for row in rows
    ]
    both = statistics.median(row["plan_us"] + row["descriptor_us"] for row in rows)
    size = sum(row["descriptor_bytes"] for row in rows) / len(rows)
    head = ("layer", "pass", "plan, us", "descriptor, us", "bytes written", "bytes read")
    return (
        f"{table(head, lines)}\n\nMedian of plan and descriptor: {both:.1f} us; descriptors have "
        f"{size:.0f} bytes per pass, {DESCRIPTOR_BYTES} each. Bytes read are all that it is "
        "given: shape, counts of nonzeros, addresses and lengths; no element of a tensor."
    )


if __name__ == "__main__":
    print(render(compute()))
