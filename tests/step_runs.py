"""Training steps as lists on the emulators, beside the golden step."""

from __future__ import annotations

import numpy as np

from gscn.array import array
from gscn.emulator.lists import run_list
from gscn.encode import ENCODE_STATE, EncodeError
from gscn.formats import BF16
from gscn.golden.oracle.step import GoldenStep
from gscn.golden.oracle.step_host import GoldenHost
from gscn.lowering.pass_image import _operands
from gscn.lowering.plan import GradPlan
from gscn.lowering.step.host import Host, dense_content, dense_values, rounded
from gscn.lowering.step.lists import listings
from gscn.lowering.step.network import step_of
from gscn.lowering.step.plans import plan_like
from gscn.step import Convolve

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
                self.put_weights(name, drawn.astype(np.float32))

    def put_weights(self, name, values):
        """Set the weights of a layer."""
        codes = values.view(np.uint32)
        self.golden.tensors[name] = codes
        place = next(iter(self.lists.values())).memory.dense[name]
        content = dense_content(place, codes.transpose(1, 0, 2, 3)).view(np.uint8)
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
        """Compare every tensor, all strips, all states, the loss."""
        step, places = self.steps[way], self.lists[way].memory
        for name, tensor in step.tensors.items():
            place = places.dense[name]
            content = self.memory[place.addr : place.end].view("<u4" if tensor.wide else "<u2")
            got = dense_values(place, content)
            wanted = self.golden.tensors[name]
            wanted = wanted.transpose(1, 0, 2, 3) if tensor.weights else wanted
            assert np.array_equal(got[: len(wanted)], wanted), name
        for op in step.operations:
            if isinstance(op, Convolve):
                self._compare_operands(op, places)
        for name in step.states:
            start = places.states[name]
            got = ENCODE_STATE.unpack(self.memory[start : start + 64])[0]
            for field in ("kept_a", "nonzeros", "elements", "largest", "sum_top", "dot_top"):
                assert got[field] == self.golden.states[name][field], (name, field)
            if not name.startswith("sk") or self.golden.states[name]["keep"]:
                assert got["threshold_a"] == self.golden.states[name]["threshold_a"], name
        assert self.host.losses == self.golden_host.losses

    def _compare_operands(self, op, places):
        """Compare strips and tables with those that a driver makes of the golden operands."""
        part = plan_like(self.config, op.shape, op.which, 4 if op.wide else 2, op.like)
        codes = [self.golden.strips[name] for name in (op.first, op.second)]
        made = _operands(part, op.shape, codes, BF16)
        names = [op.first, op.second]
        names = names[::-1] if isinstance(part, GradPlan) and part.holds_input else names
        for name, wanted in zip(names, made, strict=True):
            place = places.strips[name]
            table = wanted.table.astype("<u4").reshape(-1).view(np.uint8)
            data = wanted.data.view(np.uint8)[: 2 * wanted.halfwords]
            assert np.array_equal(self.memory[place.table :][: table.size], table), name
            assert np.array_equal(self.memory[place.data :][: data.size], data), name
