"""Records of a training step: what its operations become in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from gscn.array import ArrayConfig
from gscn.control import CONTROL_MODE, CONTROL_RECORD, Queue
from gscn.encode import (
    ENCODE_DESCRIPTOR,
    ENCODE_MODE,
    ENCODE_STATE,
    LOOPS,
)
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.formats import BF16, NUMBER_FORMATS
from gscn.lowering.descriptor import Numbers, descriptors
from gscn.lowering.grad_plan import GradPlan
from gscn.lowering.kernel_plan import KernelPlan
from gscn.lowering.step.memory import (
    ROW_BYTES,
    SUMS_BYTES,
    DensePlace,
    Memory,
)
from gscn.lowering.step.merging import operand_of
from gscn.lowering.step.order import (
    BEGUN,
    NOTHING,
    Order,
    Touched,
    joined,
    top_of,
    touched,
)
from gscn.lowering.step.plans import (
    is_turned,
    operand_walk,
    part_name,
    plan_like,
    whole_strips,
)
from gscn.lowering.step.pools import windows_walk
from gscn.lowering.step.streams import in_order, loops_of, stream_steps, turn_fields
from gscn.lowering.step.urgency import (
    Piece,
    Turn,
    blocks_of,
    by_urgency,
    cycles_of,
    grouped,
    turned_name,
)
from gscn.lowering.step.walks import DenseTensor
from gscn.passes import PASS_DESCRIPTOR, VECTOR
from gscn.records import OUT_FLOAT32, OUT_OWN
from gscn.step import STRIPS, Convolve, Encode, Operation, Step, Stop, Top, Walk


class Records:
    """Records of a step, one after the other.

    Parameters
    ----------
    step, config
        The step, and the array.
    memory
        Where all of it lies; strips, bits and sums get their places here.
    addr
        Byte address of the list.
    together
        Records wait for those of the other queue; otherwise the list is run in its order.
    """

    def __init__(
        self, step: Step, config: ArrayConfig, memory: Memory, addr: int, *, together: bool
    ) -> None:
        self.step, self.config, self.memory, self.at = step, config, memory, addr
        self.order = Order() if together else None
        self.content: list[np.ndarray] = []
        self.records: dict[str, int] = {}
        self.stops: dict[int, Stop] = {}

    @takes_text
    def add(
        self, names: list[str], content: np.ndarray, queue: Queue, touches: list[Touched]
    ) -> None:
        """Add a record, and what says for which of the other queue it waits."""
        own = joined(touches)
        wait = self.order.wait(queue, own) if self.order else 0
        if wait:
            self.order.add(queue, NOTHING)
            fields = {"mode": CONTROL_MODE, "queue": int(queue), "wait": wait}
            waiting = CONTROL_RECORD.pack(**fields).view(np.uint8)
            self.content.append(waiting)
            self.at += waiting.size
        if self.order:
            self.order.add(queue, own)
        for name in names:
            self.records[name] = self.at
        self.content.append(content)
        self.at += content.size

    # -- encode passes

    def encode(self, op: Encode) -> None:
        """Add an encode pass."""
        walk, strip = self._walk(op)
        fields: dict[str, int] = {
            "mode": ENCODE_MODE, "out_format": 2 if op.wide else 1, "y_limit": 1, "x_limit": 1,
            "a_positions": strip, "b_positions": 1, **walk, **op.fields,
            "rows_addr": self._rows(op), "state_addr": self.memory.states[op.state],
        }  # fmt: skip
        positions = int(np.prod([fields[f"count{n}"] for n in range(LOOPS - 3)]))
        fields.setdefault("segment", self._segment(op, positions))
        for number, use in enumerate(op.tensors):
            if use is not None:
                place = self.memory.dense[use.name]
                fields |= {
                    f"t{number}_addr": place.addr, f"t{number}_end": place.end,
                    f"t{number}_format": 2 if place.dense.value_bytes == 4 else 1,
                }  # fmt: skip
        if op.mask is not None:
            fields["mask_addr"], fields["mask_end"] = self.memory.parts[op.mask]
            if op.walk is not Walk.HOLDING:
                fields |= in_order("mask", fields)
        self._results(op, fields, positions)
        content = ENCODE_DESCRIPTOR.pack(**fields).view(np.uint8)
        self.add([op.name], content, Queue.ENCODE, [touched(op)])

    def _rows(self, op: Encode) -> int:
        """Return where the rows of a pass begin: those of its channels."""
        first, _ = self.memory.rows[op.rows]
        if op.part is None or self.step.tensors[op.tensors[0].name].weights:
            return first
        return first + op.part.number * op.shape[1] * ROW_BYTES

    def _walk(self, op: Encode) -> tuple[dict[str, int], int]:
        if op.operand is not None:
            return self._operand(op)
        if op.sliding is not None:
            source, made = op.tensors[0].name, op.results["dense"]
            return windows_walk(op, *(self.memory.dense[one].dense for one in (source, made))), 1
        loops = loops_of(op)
        channels = op.shape[0] if op.walk is Walk.WEIGHTS and op.by_output else op.shape[1]
        fields = {f"count{n}": loop.count for n, loop in enumerate(loops)}
        fields |= {f"count{n}": 1 for n in range(len(loops), LOOPS)}
        groups = -(-channels // VECTOR)
        fields |= {
            "count5": groups,
            "channels": channels,
            "group_channels": min(VECTOR, channels),
            "period": int(np.prod([loop.count for loop in loops])),
        }
        for number, use in enumerate(op.tensors):
            if use is not None:
                place = self.memory.dense[use.name]
                fields |= stream_steps(f"t{number}", loops, place, small=use.broadcast)
        return fields, 1

    def _operand(self, op: Encode) -> tuple[dict[str, int], int]:
        operand = op.operand
        part = self.plan(operand_of(self.step, op.results["a"])[1])
        found: dict[str, int] = {}
        strip = 1
        for number, use in reversed(list(enumerate(op.tensors))):
            place = self.memory.dense[use.name].of(op.part)
            walk, strip = operand_walk(part, operand, place.dense, by_output=place.by_output)
            walk["t0_first"] += place.addr - self.memory.dense[use.name].addr
            if use.broadcast:
                walk["t0_step2"] = 0
            own = {name.replace("t0_", f"t{number}_", 1): v for name, v in walk.items()}
            found |= own if number else walk
        return found, strip

    def _segment(self, op: Encode, positions: int) -> int:
        if not op.fields.get("reduce"):
            return positions
        return op.window.rows * op.window.cols if op.window else op.shape[0]

    def _results(self, op: Encode, fields: dict[str, int], positions: int) -> None:
        memory, results = self.memory, op.results
        if op.operand is None:
            self._as_operands(op, fields)
        groups = fields["count5"] * fields["count6"] * fields["count7"]
        lanes = VECTOR << fields["vectors"] if "vectors" in fields else VECTOR
        for part, size in (
            ("bits", groups * positions * lanes // 8),
            ("sums", groups * lanes * SUMS_BYTES * (positions // fields["segment"])),
        ):
            if part in results:
                name = results[part]
                known = memory.parts.get(name)
                fields[f"{part}_addr"], fields[f"{part}_end"] = known or memory.part(name, size)
        for part in ("dense", "second"):
            if part in results:
                place = memory.dense[results[part]]
                fields |= {f"{part}_addr": place.addr, f"{part}_end": place.end}
                small = bool(fields.get("reduce"))
                if op.sliding is None:
                    fields |= stream_steps(
                        "dense", loops_of(op), place, small=small, spread=op.spread
                    )
        for part in STRIPS:
            if part in results:
                name = results[part]
                strips = memory.strips.get(name) or memory.operand(
                    name, {"vectors": 0, **fields}, fields[f"{part}_positions"]
                )
                fields |= {
                    f"{part}_data": strips.data, f"{part}_end": strips.end,
                    f"{part}_table": strips.table,
                }  # fmt: skip

    def _as_operands(self, op: Encode, fields: dict[str, int]) -> None:
        """Cut the strips that a pass over a map writes as their convolutions ask for."""
        for part in STRIPS:
            if part in op.results:
                operand, user = operand_of(self.step, op.results[part])
                dense = self.memory.dense[op.results["dense"]].dense
                strip, fields["period"] = whole_strips(self.plan(user), operand, dense, fields)
                fields[f"{part}_positions"] = strip

    # -- convolutions

    def convolve(self, op: Convolve) -> None:
        """Add the passes of a convolution, and those that put weight gradients in order."""
        width = 4 if op.wide else 2
        part = self.plan(op)
        held, streamed = (self.memory.strips[name] for name in (op.first, op.second))
        if isinstance(part, GradPlan) and part.holds_input:
            held, streamed = streamed, held
        places = self._places(op, part)
        aside = self._is_turned(op, part)
        addresses = [
            one
            for strips in (held, streamed)
            for one in (strips.data, strips.table, (strips.end - strips.data) // 2)
        ]
        numbers = Numbers(
            OUT_FLOAT32 if op.wide else OUT_OWN, 0, NUMBER_FORMATS.index(BF16), 0, width
        )
        made, ranges = descriptors(self.config, part, numbers, tuple(addresses), places[0].addr)
        if any(
            (end - first) != -(-(place.end - place.addr) // 64) * 64
            for (first, end), place in zip(ranges, places, strict=True)
        ):
            raise InputError(f"{op.name}: results must be as large as their tensor")
        for number, content in enumerate(made):
            name = part_name(op.name, number)
            own = touched(op)._replace(reads=frozenset({op.first, op.second, top_of(name)}))
            if aside:
                own = own._replace(writes=frozenset({part_name(turned_name(op), number)}))
            self.add([name], np.frombuffer(content, dtype=np.uint8), Queue.ARRAY, [own])

    def _places(self, op: Convolve, part: KernelPlan | GradPlan) -> list[DensePlace]:
        """Return where the results of each descriptor lie."""
        memory = self.memory
        if isinstance(part, KernelPlan):
            return [memory.dense[op.result].of(op.part)]
        aside = self._is_turned(op, part)
        raw, whole = (turned_name(op), None) if aside else (op.result, op.part)
        work = part.work
        channels = work.s_channels * (whole.count if whole else 1)
        lanes = VECTOR >> part.choice.t_split
        outer = -(-work.t_channels // lanes) * lanes
        found = (
            memory.dense.get(part_name(raw, number))
            or memory.raw(
                part_name(raw, number),
                DenseTensor(outer, len(y.taps), len(x.taps), channels, VECTOR, 4),
                turned=not part.holds_input,
                by_output=not part.holds_input,
            )
            for number, (y, x) in enumerate(part.runs)
        )
        return [place.of(whole) for place in found]

    def _is_turned(self, op: Convolve, part: KernelPlan | GradPlan | None) -> bool:
        """Say whether encode passes put the result of a convolution in the order of weights."""
        by_output = self.step.tensors[op.result].by_output
        return isinstance(part, GradPlan) and is_turned(part, by_output=by_output)

    def turn(self, op: Convolve) -> None:
        """Add the passes that put a weight gradient in the order of weights."""
        part = self.plan(op)
        for number, place in enumerate(self._places(op, part)):
            self._turn(op, number, place, part)

    def _turn(self, op: Convolve, number: int, source: DensePlace, part: GradPlan) -> None:
        """Put some taps of a weight gradient where they belong, lanes being output channels."""
        name, target = op.result, self.memory.dense[op.result].of(op.part)
        fields = turn_fields(source, target, part.runs[number], transposed=part.holds_input)
        fields |= {
            "rows_addr": self.memory.rows[f"first.{target.dense.channels}"][0],
            "state_addr": self.memory.states[f"s.turn.{name}"],
        }
        content = ENCODE_DESCRIPTOR.pack(**fields).view(np.uint8)
        own = part_name(turned_name(op), number)
        touches = Touched(frozenset({own}), frozenset({name}))
        self.add([part_name(Turn(op).name, number)], content, Queue.ENCODE, [touches])

    # -- control

    def control(self, tops: list[Top], stop: Stop | None) -> None:
        """Add a control record."""
        fields: dict[str, int] = {
            "mode": CONTROL_MODE,
            "queue": int(Queue.ENCODE),
            "links": len(tops),
        }
        names = [one.name for one in tops]
        for number, top in enumerate(tops):
            states = [self.memory.states[name] for name in top.states]
            fields |= {
                f"target{number}": self._target(top), f"first{number}": states[0],
                f"second{number}": states[1] if len(states) > 1 else 0,
                f"margin{number}": top.margin,
            }  # fmt: skip
        if stop is not None:
            number = len(self.stops) + 1
            self.stops[number] = stop
            fields["stop"] = number
            names.append(stop.name)
        content = CONTROL_RECORD.pack(**fields).view(np.uint8)
        touches = [touched(one) for one in (*tops, *([stop] if stop else []))]
        self.add(names, content, Queue.ENCODE, touches)

    def _target(self, top: Top) -> int:
        if top.which == "window":
            place = PASS_DESCRIPTOR.dtype.fields["window"][1]
            return self.records.get(top.target, 0) + int(place)
        return self.memory.states[top.target] + int(ENCODE_STATE.dtype.fields[top.which][1])

    def plan(self, op: Convolve) -> KernelPlan | GradPlan | None:
        """Return how a convolution is done; None: by one record, whose result is in order."""
        return plan_like(self.config, op.shape, op.which, 4 if op.wide else 2, op.like)

    def _by_record(self, operations: tuple[Operation, ...]) -> Iterator[Operation | Turn]:
        """Yield operations, tops of windows once for each pass of their convolutions."""
        convolutions = [op for op in operations if isinstance(op, Convolve)]
        parts = {op.name: self.plan(op) for op in convolutions}
        runs = {name: part.runs for name, part in parts.items() if isinstance(part, GradPlan)}
        turned = {op.name for op in convolutions if self._is_turned(op, parts[op.name])}
        for op in operations:
            yield op
            if isinstance(op, Top) and op.which == "window":
                for number in range(1, len(runs.get(op.target, "1"))):
                    names = (part_name(one, number) for one in (op.name, op.target))
                    name, target = names
                    yield dataclasses.replace(op, name=name, target=target)
            elif isinstance(op, Convolve) and op.name in turned:
                yield Turn(op)

    def run(self, operations: tuple[Operation, ...]) -> None:
        """Add the records of all operations; for two queues, in an order in which they wait little.

        What the host may go back to stays before its stop, with all between.
        """
        made = list(self._by_record(operations))
        if self.order:
            blocks = blocks_of(made)
            pieces = [self._piece(block) for block in blocks]
            made = [op for number in by_urgency(pieces) for op in blocks[number]]
        for group in grouped(made):
            first = group[0]
            if isinstance(first, Encode):
                self.encode(first)
            elif isinstance(first, Convolve):
                self.convolve(first)
            elif isinstance(first, Turn):
                self.turn(first.op)
            elif isinstance(first, Stop):
                self.control([], first)
            else:
                self.control(group, None)

    def _piece(self, block: list[Operation | Turn]) -> Piece:
        """Return operations that stay together as something to be listed."""
        touches = joined([self._touched(op) for op in block])
        is_first = BEGUN in touches.writes
        reads = touches.reads if is_first else touches.reads | {BEGUN}
        queue = Queue.ARRAY if isinstance(block[0], Convolve) else Queue.ENCODE
        cycles = sum(cycles_of(op, self.step, self.config) for op in block)
        return Piece(queue, touches._replace(reads=reads), cycles)

    def _touched(self, op: Operation | Turn) -> Touched:
        if isinstance(op, Turn):
            return Touched(frozenset({turned_name(op.op)}), frozenset({op.op.result}))
        found = touched(op)
        if isinstance(op, Convolve) and isinstance(part := self.plan(op), GradPlan):
            tops = {top_of(part_name(op.name, number)) for number in range(len(part.runs))}
            found = found._replace(reads=found.reads | tops)
            if self._is_turned(op, part):
                found = found._replace(writes=frozenset({turned_name(op)}))
        return found
