"""Lists of whole training steps: their records, and what the host touches between.

`python -m benchmarks.encode_step` makes the lists of the digits network (batch 32) and of ResNet-20
(32x32, batch 8) by SWAT and ReSprop, and answers their stops as the host does. No pass is run: how
much the host reads and writes does not depend on what is there.
"""

from __future__ import annotations

import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import torch

from benchmarks.markdown import percent, table
from gscn.array import array
from gscn.emulator.list_records import listed, races
from gscn.golden.networks.residual import DigitsNetwork, SmallResNet
from gscn.golden.networks.tracing import traced
from gscn.lowering.step.host import Host
from gscn.lowering.step.layers import IMAGES, Layer, Training
from gscn.lowering.step.lists import Listing, dense_bytes, listings
from gscn.lowering.step.network import step_of
from gscn.lowering.step.placing import place
from gscn.step import Convolve, Encode, Step, Stop, Top

HOW = Training(density=Fraction(1, 10), reuse=(0.15, 0.15), reuses=True)


def digits() -> list[Layer]:
    """Return the digits network, by the names that its layers have in torch."""
    return list(place(traced(DigitsNetwork(), torch.zeros(1, 1, 8, 8))).layers)


def resnet20(size: int, blocks: int = 3) -> list[Layer]:
    """Return ResNet-20 for images of this size, or one of other blocks per stage."""
    return list(place(traced(SmallResNet(blocks), torch.zeros(1, 3, size, size))).layers)


def made(layers: list[Layer], size: tuple[int, int, int, int]) -> tuple[Step, np.ndarray, Listing]:
    """Return a step, memory at first, and its list for two queues."""
    config = array("large").with_overrides(["float_formats=bf16"])
    step = step_of(layers, size, HOW)
    memory, lists = listings([step], config, together=True)
    return step, memory, lists[0]


def touched(step: Step, memory: np.ndarray, listing: Listing) -> Counter[str]:
    """Return bytes that the host reads and writes, by what they are."""
    size = step.tensors[IMAGES].shape
    host = Host(step.norms, 10, rate=0.1, momentum=0.9)
    host.batch = (np.zeros(size, dtype=np.uint16), np.zeros(size[0], dtype=np.int64), 0)
    host.follow(step, listing)
    for number in sorted(listing.stops):
        host(number, memory)
    return host.touched


def text() -> str:
    """Return the tables."""
    networks = {
        "digits, batch 32": (digits(), (32, 1, 8, 8)),
        "ResNet-20, 32x32, batch 8": (resnet20(32), (8, 3, 32, 32)),
    }
    lists, bytes_ = [], []
    for name, (layers, size) in networks.items():
        step, memory, listing = made(layers, size)
        kinds = Counter(type(op) for op in step.operations)
        records = len(listed(memory, listing.addr, listing.end))
        found = races(memory, listing.addr, listing.end)
        dense = dense_bytes(step, listing.memory)
        lists.append([
            name, str(kinds[Convolve]), str(kinds[Encode]), str(kinds[Top]), str(kinds[Stop]),
            str(records), str(len(found)), f"{dense / 1e6:.2f}",
        ])  # fmt: skip
        host = touched(step, memory, listing)
        for kind, count in sorted(host.items()):
            bytes_.append([name, kind, str(count), percent(count / dense)])
        rest = sum(host.values()) - host["images"]
        bytes_.append([name, "all but images", str(rest), percent(rest / dense)])
    moved = "of dense tensors read and written"
    header = ["network", "convolutions", "encode passes", "tops", "stops", "records", "races"]
    return "\n\n".join([
        table([*header, f"MB {moved}"], lists),
        table(["network", "the host touches", "bytes", moved], bytes_),
    ])  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(text() + "\n")
