"""A pass in memory: operands as strips, descriptors, and how to read the results."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import numpy as np

from gscn.array import ArrayConfig
from gscn.conv import ConvShape, Pass
from gscn.dram import Dram
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import FloatFormat, IntFormat
from gscn.lowering.axes import TapRun
from gscn.lowering.bands import cut_bands, join_bands
from gscn.lowering.descriptor import ALIGNMENT, Numbers, descriptors, grad_tile
from gscn.lowering.estimates import DENSE
from gscn.lowering.grad_estimates import reach
from gscn.lowering.grad_plan import GradPlan
from gscn.lowering.kernel_plan import KernelPlan
from gscn.lowering.layouts import (
    gather,
    grad_input,
    grad_outputs,
    put_results,
    spread,
    stream_of,
    used_rows,
    weights_of,
)
from gscn.lowering.plan import PassPlan, plan_pass
from gscn.operands import (
    OPERAND_NAMES,
    check_accumulators,
    check_codes,
    check_operand,
    choose_top,
    may_groups_meet,
)
from gscn.outputs import FloatOutput, OutputFormat, check_memory, memory_of
from gscn.passes import DESCRIPTOR_BYTES, VECTOR
from gscn.products import count_useful_products
from gscn.strips import Strips, encode, encode_map, weight_bounds


@takes_text
@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PassImage:
    """A lowered pass: initial memory, its list of descriptors, and how to read the result."""

    config: ArrayConfig
    shape: ConvShape
    which: Pass
    out: OutputFormat | FloatOutput
    plan: PassPlan
    image: np.ndarray = field(repr=False)
    """uint8: initial memory from address 0."""
    memory_bytes: int
    """Bytes of memory that the run needs, results included."""
    descriptors_addr: int
    """Byte address of the list of descriptors."""
    descriptor_count: int
    output_ranges: tuple[tuple[int, int], ...] = field(repr=False)
    """Byte ranges (start, end) that each pass of the list may write."""
    useful_products: int
    """Nonzero products that belong to an element of the result."""

    @property
    def operand_bytes(self) -> int:
        """Bytes of operands and tables."""
        return self.image.size - self.descriptor_count * DESCRIPTOR_BYTES

    def initial_memory(self) -> np.ndarray:
        """Return a fresh memory (uint8) of `memory_bytes` with the image at its start."""
        return memory_of(self.image, self.memory_bytes)

    def result(self, memory: np.ndarray) -> np.ndarray:
        """Read the result out of memory.

        Parameters
        ----------
        memory
            Uint8, at least `memory_bytes` long, after the run.

        Returns
        -------
        numpy.ndarray
            int64 array in `shape.result_shape(which)`; in floating point, of codes.

        Raises
        ------
        InputError
            `memory` is not uint8 or too short.
        """
        check_memory(memory, self.memory_bytes)
        regions = iter(memory[low:high] for low, high in self.output_ranges)
        result = np.zeros(self.shape.result_shape(self.which), dtype=np.int64)
        pairs = zip(self.plan.parts, self.plan.packs, strict=True)
        for pack, parts in itertools.groupby(pairs, key=lambda pair: pair[1]):
            found = np.zeros(pack.shape(self.shape).result_shape(self.which), dtype=np.int64)
            for part, _ in parts:
                if isinstance(part, KernelPlan):
                    put_results(part.geometry, self._kernel_results(part, next(regions)), found)
                    continue
                for runs in part.runs:
                    taps = np.ix_(*(run.taps for run in runs))
                    found[:, :, *taps] = self._grad_results(part, runs, next(regions))
            pack.put(self.shape, self.which, found, result)
        return result

    def _kernel_results(self, part: KernelPlan, region: np.ndarray) -> np.ndarray:
        """Return results (N, rows, columns, channels) of one pass of the array."""
        grouping = part.stationary
        shape = (grouping.groups, part.cut.samples, *part.cut.results, grouping.lanes)
        results = gather(self._numbers(region, shape), grouping)
        return join_bands(part.geometry, part.bands, results)

    def _grad_results(
        self, part: GradPlan, runs: tuple[TapRun, TapRun], region: np.ndarray
    ) -> np.ndarray:
        """Return results (K, C, tap rows, tap columns) of one pass of a weight gradient."""
        held, choice = part.stationary, part.choice
        taps = [len(run.taps) for run in runs]
        _, t_tiles, _ = grad_tile(part, runs)
        # tiles are next to each other, so that channels are in order
        lanes = t_tiles * ((VECTOR << choice.t_vectors) >> choice.t_split)
        results = gather(self._numbers(region, (held.groups, lanes, *taps, held.lanes)), held)
        results = results[: part.work.t_channels].transpose(0, 3, 1, 2)
        if part.holds_input:
            return results
        return results.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]

    def _numbers(self, region: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        size = int(np.prod(shape)) * self.out.dtype.itemsize
        return region[:size].view(self.out.dtype).reshape(shape)


@takes_text
def lower_pass(
    config: ArrayConfig,
    shape: ConvShape,
    which: Pass,
    first: np.ndarray,
    second: np.ndarray,
    out: OutputFormat | FloatOutput,
    *,
    dram: Dram | None = None,
) -> PassImage:
    """Lower one pass of a convolution to descriptors and a memory image.

    Parameters
    ----------
    config
        The array.
    shape
        The convolution.
    which
        The pass.
    first
        Integers, first of `shape.operand_shapes(which)`; in floating point unsigned codes.
    second
        Likewise, second of `shape.operand_shapes(which)`.
    out
        Rounding of the results; a `FloatOutput` makes the pass one in floating point.
    dram
        What is behind the ports, for the plan; None: it is no limit.

    Raises
    ------
    InputError
        An operand has the wrong type, shape or range; an accumulator could overflow; or
        the layer does not fit the array. The message names the tensor or field.
    """
    names, shapes = OPERAND_NAMES[which], shape.operand_shapes(which)
    fmt: IntFormat | FloatFormat
    if isinstance(out, FloatOutput):
        fmt = out.operands
        first, second = (
            check_codes(name, codes, size, fmt, config)
            for name, codes, size in zip(names, (first, second), shapes, strict=True)
        )
        out = replace(out, top=choose_top(shape, which, first, second, out))
        magnitude = (1 << (fmt.width - 1)) - 1
        nonzero = [codes & magnitude for codes in (first, second)]
    else:
        fmt = config.format
        first, second = (
            check_operand(name, tensor, size, config)
            for name, tensor, size in zip(names, (first, second), shapes, strict=True)
        )
        check_accumulators(shape, which, first, second, config)
        nonzero = [first, second]
    codes = [one.astype(f"<{one.dtype.kind}{fmt.width // 8}") for one in (first, second)]
    densities = [np.count_nonzero(one) / one.size for one in nonzero]
    sizes = {"out_bytes": out.width // 8, "value_bytes": fmt.width // 8}
    meet = which is not Pass.WEIGHT_GRAD or may_groups_meet(shape, first, second, out, config)
    for level in range(DENSE + 1):
        plan = plan_pass(
            config, shape, which, (densities[0], densities[1]), level=level, dram=dram,
            groups_meet=meet, **sizes,
        )  # fmt: skip
        operands = _strips(plan, codes, fmt)
        fits = (_fits(config, *pair) for pair in zip(plan.parts, operands, strict=True))
        if level == DENSE or all(fits):
            break
    useful = count_useful_products(shape, which, *nonzero)
    return _placed(plan, operands, out, useful)


def _strips(
    plan: PassPlan, codes: list[np.ndarray], fmt: IntFormat | FloatFormat
) -> list[tuple[Strips, Strips]]:
    """Return the stationary and the streamed operand of each part as strips."""
    found = []
    pairs = zip(plan.parts, plan.packs, strict=True)
    for pack, parts in itertools.groupby(pairs, key=lambda pair: pair[1]):
        own = pack.operands(plan.shape, plan.which, *codes)
        found += [_operands(part, pack.shape(plan.shape), own, fmt) for part, _ in parts]
    return found


def _operands(
    part: KernelPlan | GradPlan, shape: ConvShape, codes: tuple[np.ndarray, np.ndarray], fmt: object
) -> tuple[Strips, Strips]:
    """Return the stationary and the streamed operand as strips."""
    first, second = codes
    choice = part.choice
    if isinstance(part, KernelPlan):
        weights = spread(weights_of(part.geometry, first), part.stationary)
        weights = weights.reshape(weights.shape[0], -1, weights.shape[-1])
        taps = part.geometry.y.taps * part.geometry.x.taps
        bounds = weight_bounds(part.geometry.contracted, choice.t_real, taps)
        stream = cut_bands(part.geometry, part.bands, stream_of(part.geometry, second))
        stream = spread(stream, part.stream)
        return encode(weights, bounds, fmt), encode_map(stream, choice.t_rows, fmt)
    inputs = grad_input(second, part.cuts, used_rows(shape))
    outputs = grad_outputs(first, part.cuts)
    held, streamed = (inputs, outputs) if part.holds_input else (outputs, inputs)
    return (
        encode_map(spread(held, part.stationary), choice.s_outer, fmt),
        encode_map(spread(streamed, part.stream), choice.t_rows, fmt),
    )


def _fits(
    config: ArrayConfig, part: KernelPlan | GradPlan, operands: tuple[Strips, Strips]
) -> bool:
    """Return whether the window holds whatever strips of the stationary operand it must."""
    held = operands[0]
    most = config.stationary_depth - 1
    if isinstance(part, KernelPlan):
        return held.most_strip_nonzeros <= most
    behind, ahead = reach(part.work, part.choice.t_rows, part.choice.s_outer)
    chunks = -(-part.work.s_rows // part.choice.s_outer)
    by_sample = held.nonzeros.reshape(part.work.samples, chunks, -1)
    window = min(behind + ahead + 1, chunks)
    sums = np.lib.stride_tricks.sliding_window_view(by_sample, window, axis=1).sum(axis=-1)
    return int(sums.max()) <= most


def _placed(
    plan: PassPlan,
    operands: list[tuple[Strips, Strips]],
    out: OutputFormat | FloatOutput,
    useful: int,
) -> PassImage:
    """Give everything its place: descriptors, operands, results."""
    config = plan.config
    count = sum(len(part.runs) if isinstance(part, GradPlan) else 1 for part in plan.parts)
    pieces: list[np.ndarray] = []
    places: dict[bytes, int] = {}
    end = count * DESCRIPTOR_BYTES

    def place(content: np.ndarray) -> int:
        """Return where something is: once, if passes on phases of the results have it in common."""
        nonlocal end
        data = np.ascontiguousarray(content).reshape(-1).view(np.uint8)
        start = places.setdefault(data.tobytes(), end)
        if start == end:
            end += data.size + -data.size % ALIGNMENT
            pieces.append(data)
            pieces.append(np.zeros(end - start - data.size, dtype=np.uint8))
        return start

    addresses = []
    for held, streamed in operands:
        placed = [
            (place(strips.data), place(strips.table), strips.halfwords)
            for strips in (held, streamed)
        ]
        addresses.append((*placed[0], *placed[1]))
    image_bytes = end
    fields = out.job_fields
    numbers = Numbers(
        out.code, out.shift, fields.get("number_format", 0), fields.get("window", 0), out.width // 8
    )
    content, ranges = [], []
    for part, places in zip(plan.parts, addresses, strict=True):
        made, written = descriptors(config, part, numbers, places, end)
        content += made
        ranges += written
        end = written[-1][1]
    if end > 1 << config.addr_width:
        raise InputError(
            f"addr_width must be enough for {end} bytes of memory, not {config.addr_width}"
        )
    image = np.concatenate([np.frombuffer(b"".join(content), dtype=np.uint8), *pieces])
    assert image.size == image_bytes
    return PassImage(
        config=config,
        shape=plan.shape,
        which=plan.which,
        out=out,
        plan=plan,
        image=image,
        memory_bytes=end,
        descriptors_addr=0,
        descriptor_count=count,
        output_ranges=tuple(ranges),
        useful_products=useful,
    )
