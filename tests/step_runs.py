"""Training steps as lists on the emulators, beside the golden step."""

from __future__ import annotations

import numpy as np

from gscn.array import array
from gscn.cosim.step_differences import operand_differences, step_differences
from gscn.emulator.lists import run_list
from gscn.encode import EncodeError
from gscn.golden.oracle.step import GoldenStep
from gscn.golden.oracle.step_host import GoldenHost
from gscn.lowering.step.host import Host, rounded, weights_content
from gscn.lowering.step.lists import listings
from gscn.lowering.step.network import step_of

CONFIG = array("small").with_overrides([
    "float_formats=bf16", "acc_depth=1024", "stationary_depth=4096", "directory_depth=1024",
])  # fmt: skip


class Runs:
    """A network in memory and on tensors."""

    def __init__(
        self,
        layers,
        size,
        ways,
        *,
        rate=0.05,
        momentum=0.9,
        penalty=0.0,
        config=CONFIG,
        together=False,
    ):
        self.steps = {name: step_of(layers, size, how) for name, how in ways.items()}
        image, lists = listings(list(self.steps.values()), config, together=together)
        self.config, self.memory, self.together = config, image, together
        self.lists = dict(zip(self.steps, lists, strict=True))
        first = next(iter(self.steps.values()))
        classes = layers[-1].kernels
        how = next(iter(ways.values()))
        scalars = {"rate": how.rate, "momentum": how.momentum, "penalty": penalty}
        self.host = Host(first.norms, classes, **scalars)
        self.golden_host = GoldenHost(first.norms, classes, **scalars)
        self.golden = GoldenStep(first, self.golden_host)
        for step in self.steps.values():
            self.golden.follow(step)
        self.flags = []

    def set_weights(self, seed):
        """Draw weights."""
        generator = np.random.default_rng(seed)
        for name, tensor in self.golden.step.tensors.items():
            if name.startswith("w."):
                _, c, r, s = tensor.shape
                drawn = generator.standard_normal(tensor.shape) * (2 / (c * r * s)) ** 0.5
                blocks = self.golden.step.blocks.get(f"blocks.{name[2:]}")
                drawn = drawn * blocks.there() if blocks else drawn
                self.put_weights(name, drawn.astype(np.float32))

    def put_weights(self, name, values):
        """Set the weights of a layer."""
        codes = values.view(np.uint32)
        self.golden.tensors[name] = codes
        place = next(iter(self.lists.values())).memory.dense[name]
        content = weights_content(place, codes).view(np.uint8)
        self.memory[place.addr : place.addr + content.size] = content.reshape(-1)

    def weights(self, name):
        """Return weights as numbers."""
        return self.golden.tensors[name].view(np.float32)

    def begin(self, way, images, labels, sample):
        """Return a step and its list, of which the hosts know what to do."""
        step, listing = self.steps[way], self.lists[way]
        self.host.batch = (rounded(images.astype(np.float64)), labels, sample)
        self.golden_host.batch = (images, labels, sample)
        self.host.follow(step, listing)
        self.golden.follow(step)
        return step, listing

    def run(self, way, images, labels, sample, choose=None):
        """Run a step in both ways, and compare everything."""
        _, listing = self.begin(way, images, labels, sample)
        result = run_list(self.config, self.memory, listing.addr, listing.end, self.host, choose)
        named = {addr: name for name, addr in listing.records.items()}
        assert result.error == EncodeError.NONE, (
            result.error,
            named.get(result.error_addr),
            result.error_addr,
        )
        self.memory = result.memory
        self.flags.append(result)
        self.golden.run()
        self.compare(way)

    def compare(self, way):
        """Compare every tensor, all strips, all states, the loss, and the host's scalars."""
        step, listing = self.steps[way], self.lists[way]
        assert [*step_differences(step, listing, self.memory, self.host, self.golden)] == []
        places = listing.memory
        assert [
            *operand_differences(self.config, step, places, self.memory, self.golden)
        ] == []  # fmt: skip
        assert self.host.losses == self.golden_host.losses
