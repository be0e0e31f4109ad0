"""Cycles of the programs of records: `hw.encode.record_program`, line by line.

Each method has the name of the one whose instructions it counts. An instruction takes a cycle, and
so does what follows a branch that is taken; `LOADED`, `TAKEN` and the like are short sequences.
"""

from __future__ import annotations

from gscn.cycles.encode.fields import groups_of, has, positions_of
from gscn.encode import LOOPS, TENSORS, Adapt, Reduce

_DIGIT, _DIVISION = 4, 32
_START, _FAIL = 2, 1
LOADED_CHECKED = 2
"""A load, and a check or a branch that is not taken."""
TAKEN = 1
"""More, if the branch is taken."""
_RESULTS = ("dense", "second", "bits", "sums")
_INNER = 5
"""Loops of positions."""
_FORMATS = 4
_STEPS = 1 + LOOPS
_SETTINGS = 60


def multiplied(x: int) -> int:
    """Return the cycles of a multiplication by a number."""
    return 1 + max(1, -(-x.bit_length() // _DIGIT))


class RecordCost:
    """What a record's check takes, when there is nothing to be found.

    Parameters
    ----------
    f
        Fields of a record without an error.
    settings
        Settings that are handed out but for those of the dense result.
    """

    def __init__(self, f: dict[str, int], settings: int = _SETTINGS) -> None:
        self.f, self.settings = f, settings
        self.positions, self.groups = positions_of(f), groups_of(f)
        self.any_dense = has(f, "dense") or has(f, "second")
        self.lanes = 16 << f["vectors"]

    def check(self) -> int:
        """Return the cycles from the start of a check to its end."""
        parts = (
            self.formats(), self.walk(), self.ranges(), self.steps(), self.outputs(), self.send()
        )  # fmt: skip
        return _START + LOADED_CHECKED + sum(parts) + _FAIL

    def unless(self, name: str) -> int:
        """Return the cycles of going on unless a field is 0."""
        return LOADED_CHECKED + (TAKEN if self.f[name] == 0 else 0)

    def unless_has(self, part: str) -> int:
        """Return the cycles of going on unless a pass has not a result."""
        return LOADED_CHECKED + (0 if has(self.f, part) else TAKEN)

    def unless_any_dense(self) -> int:
        """Return the cycles of going on unless a pass has no dense result."""
        if has(self.f, "dense"):
            return LOADED_CHECKED + TAKEN
        return LOADED_CHECKED + self.unless_has("second")

    # -- formats

    def formats(self) -> int:
        """Return the cycles of `WalkChecks.formats`."""
        most = _FORMATS * 3 + 7 + 4 * 2 + 4 + 2
        absent = sum(self._absent(tensor) for tensor in range(TENSORS))
        return most + LOADED_CHECKED + 4 + absent + self._flags() + self._adapts()

    def _absent(self, tensor: int) -> int:
        if self.f[f"t{tensor}_format"]:
            return LOADED_CHECKED + TAKEN
        return LOADED_CHECKED * (1 + 2 + (2 if tensor == 0 else 1))

    def _flags(self) -> int:
        found = 0
        for name, inside in (("t0_strips", 4), ("transposed", 3), ("product", 2), ("reduce", 2)):
            found += self.unless(name) + (inside if self.f[name] else 0)
        return found

    def _adapts(self) -> int:
        adapt = self.f["adapt"]
        if adapt == Adapt.NONE:
            return self.unless("adapt")
        if adapt == Adapt.STEP:
            return self.unless("adapt") + 1 + LOADED_CHECKED + 1 + TAKEN
        return self.unless("adapt") + 1 + TAKEN + 3 + 2 + 4

    # -- walk

    def walk(self) -> int:
        """Return the cycles of `WalkChecks.walk`."""
        f = self.f
        found = LOADED_CHECKED * (LOOPS + 1)
        for loops in (range(_INNER), range(_INNER, LOOPS)):
            found += 1 + sum(multiplied(f[f"count{n}"]) + 1 for n in loops[1:]) + 1
        found += multiplied(self.positions) + 1 + 4
        found += 3
        found += 4 * LOADED_CHECKED + 2 + LOADED_CHECKED
        found += self.quotient(self.positions, f["period"]) + 1 + multiplied(f["period"]) + 1
        found += 3 + multiplied(f["count5"]) + 3
        found += self._segment()
        if f["transposed"]:
            found += self.unless("transposed") + 1 + multiplied(f["count0"]) + 2
        else:
            found += self.unless("transposed")
        return found

    def quotient(self, dividend: int, divisor: int, *, up: bool = False) -> int:
        """Return the cycles of `WalkChecks.quotient`."""
        if dividend == divisor:
            return LOADED_CHECKED + 2 + TAKEN
        return LOADED_CHECKED + TAKEN + (2 if up else 0) + 1 + _DIVISION

    def _segment(self) -> int:
        f = self.f
        found = 2 + self.unless("reduce")
        if not f["reduce"]:
            return found
        found += 1
        inside = 1
        for loop in range(_INNER + 1):
            if inside == f["segment"]:
                found += 1 + TAKEN
                break
            found += 1 + multiplied(f[f"count{loop}"])
            inside *= f[f"count{loop}"]
        found += 2 + TAKEN + 1 + LOADED_CHECKED
        return found + (2 if f["reduce"] == Reduce.MAXIMUM else TAKEN)

    # -- ranges

    def ranges(self) -> int:
        """Return the cycles of `RangeChecks.ranges`."""
        f, one = self.f, 6
        found = self._find_placed()
        for part in _RESULTS:
            found += self.unless_has(part) + (one if has(f, part) else 0)
        for part in "ab":
            found += self.unless_has(part)
            if has(f, part):
                found += one + self._table(f[f"{part}_positions"])
        found += 3 + one + 1
        for name in (*(f"t{n}_format" for n in range(TENSORS)), "masked"):
            found += self.unless(name) + (one if f[name] else 0)
        found += self.unless("t0_strips")
        if f["t0_strips"]:
            found += self._table(f["a_positions"])
        return found + 1 + multiplied(f["count5"]) + 1 + 2 + one + 3

    def _table(self, positions: int) -> int:
        rounds = self.positions // self.f["period"]
        found = self.quotient(self.f["period"], positions, up=True)
        return found + multiplied(rounds) + 1 + multiplied(self.groups) + 1 + 2 + 6

    def _find_placed(self) -> int:
        f = self.f
        if f["transposed"] or f["reduce"]:
            return 3 + TAKEN
        found = 3 + self.unless_any_dense()
        if self.any_dense:
            found += sum(self._placed(tensor) for tensor in range(TENSORS))
        return found

    def _placed(self, tensor: int) -> int:
        f, name = self.f, f"t{tensor}"
        found = LOADED_CHECKED
        if f[f"{name}_format"] != f["out_format"]:
            return found + TAKEN
        if tensor == 0:
            found += LOADED_CHECKED
            if f["t0_strips"]:
                return found + TAKEN
        addr = f[f"{name}_addr"]
        found += LOADED_CHECKED
        if addr == f["dense_addr"]:
            found += TAKEN
        else:
            found += 1
            if addr != f["second_addr"]:
                return found + TAKEN
        for part in ("_first", "_vector", *(f"_step{loop}" for loop in range(LOOPS))):
            found += LOADED_CHECKED
            if f[f"{name}{part}"] != f[f"dense{part}"]:
                return found + TAKEN
        for result in ("dense", "second"):
            for part in ("_addr", "_end"):
                found += LOADED_CHECKED
                if f[f"{name}{part}"] != f[f"{result}{part}"]:
                    found += TAKEN
                    break
            else:
                found += 1
        return found

    def steps(self) -> int:
        """Return the cycles of `RangeChecks.steps`."""
        f, found = self.f, 0
        aligned = 1 + _STEPS + 1
        for tensor in range(TENSORS):
            if tensor == 0:
                found += LOADED_CHECKED
                if f["t0_strips"]:
                    found += TAKEN
                    continue
            found += self.unless(f"t{tensor}_format")
            if f[f"t{tensor}_format"]:
                found += 3 + aligned + self.unless("transposed")
                found += LOADED_CHECKED if f["transposed"] else 0
        found += self.unless("masked") + (2 + aligned if f["masked"] else 0)
        return found + self.unless_any_dense() + (1 + 3 + aligned if self.any_dense else 0)

    # -- places of results

    def outputs(self) -> int:
        """Return the cycles of `RangeChecks.outputs`."""
        f, found = self.f, self.unless_has("bits") + self.unless_has("sums")
        if has(f, "bits"):
            found += 3
        if has(f, "sums"):
            found += self.quotient(self.positions, f["segment"], up=True)
            found += multiplied(self.groups) + multiplied(self.lanes) + 2 + 3
        return found + self._apart() + self._ranges_meet()

    def _ranges_meet(self) -> int:
        """Return the cycles of comparing ranges with each other."""
        f = self.f
        strips = sum(has(f, part) for part in "ab")
        outputs = sum(has(f, part) for part in _RESULTS) + 2 * strips + 1
        inputs = sum(f[f"t{n}_format"] != 0 for n in range(TENSORS)) + (f["masked"] != 0)
        ranges = outputs + inputs + (f["t0_strips"] != 0) + 2
        return 2 + sum(1 + ranges - first for first in range(outputs))

    def _apart(self) -> int:
        f = self.f
        found = self.unless_any_dense()
        if not self.any_dense:
            return found
        found += 3
        spans, inside = 0, self._inside()
        for loop in range(LOOPS):
            if loop < _INNER:
                found += LOADED_CHECKED
                if inside > loop:
                    found += TAKEN
                    continue
            found += LOADED_CHECKED
            if f[f"count{loop}"] == 1:
                found += TAKEN
            else:
                found += self._span(f[f"count{loop}"])
                spans += 1
        found += self.unless("vectors")
        if f["vectors"]:
            found += 2 + self._span(1 << f["vectors"])
            spans += 1
        return found + 1 + 2 + spans * (2 + spans)

    def _inside(self) -> int:
        """Return how many loops are within a segment, if there is one dense result of it."""
        inside = 1
        for loop in range(_INNER + 1 if self.f["reduce"] else 0):
            if inside == self.f["segment"]:
                return loop
            inside *= self.f[f"count{loop}"]
        return 0

    def _span(self, count: int) -> int:
        return 5 + multiplied(count - 1) + 1

    # -- what is handed out

    def send(self) -> int:
        """Return the cycles of `_Programs.send`."""
        f, found = self.f, LOOPS
        present = (*(f"t{n}_format" for n in range(TENSORS)), "masked", None)
        for number, name in enumerate(present):
            found += self.unless_any_dense() if name is None else self.unless(name)
            if self.any_dense if name is None else f[name]:
                found += self._send_stream(tensor=number < TENSORS, dense=name is None)
        found += 2 * (1 + 1 + LOOPS + 1 + 1) + 1 + self.settings
        dense = 2 + 3
        if has(f, "dense"):
            return found + LOADED_CHECKED + TAKEN + dense
        return found + LOADED_CHECKED + dense + 1 + TAKEN

    def _send_stream(self, *, tensor: bool, dense: bool) -> int:
        if tensor:
            found = 3 + self.unless("transposed")
            found += 8 + 1 + TAKEN if self.f["transposed"] else 1
            found += 1
        else:
            found = 2
        return found + LOOPS - 1 + 1 + (0 if dense else 3)

    # -- the state

    def open(self) -> int:
        """Return the cycles from the state to the beginning of the pass."""
        if self.f["adapt"] == Adapt.SELECT_FIRST:
            return _START + 5 + LOADED_CHECKED + TAKEN + 1 + _FAIL
        return _START + 5 + LOADED_CHECKED + 1 + 1 + TAKEN + _FAIL

    def close(self, kept_a: int, state: dict[str, int]) -> int:
        """Return the cycles from the end of results to a state that can be written.

        Parameters
        ----------
        kept_a
            Values of strips A.
        state
            As the pass found it.
        """
        adapt, found = self.f["adapt"], self.unless("adapt")
        if adapt == Adapt.STEP:
            found += 1 + self._step(kept_a, state)
        elif adapt:
            found += 1 + TAKEN + self._select()
        found += 4 + 1 + 3 + 2
        found += sum(self.unless_has(part) + has(self.f, part) for part in "ab")
        return _START + found + _FAIL

    def _step(self, kept_a: int, state: dict[str, int]) -> int:
        wide = self.f["out_format"] == 2
        code, most = 1 << 7, 0x7F80
        if kept_a < state["low"]:
            found = LOADED_CHECKED + self._bound(0, 16) + 3
            least = code << 16 if wide else code
            stays = state["threshold_a"] - state["step"] >= least
        elif kept_a > state["high"]:
            found = LOADED_CHECKED + TAKEN + 1 + self._bound(4, 16) + 3
            bound = (most << 16 if wide else most) - 1
            if state["threshold_a"] + state["step"] <= bound:
                return found + TAKEN + 1 + 1 + TAKEN
            return found + 1 + 1 + 1 + TAKEN
        else:
            return LOADED_CHECKED + TAKEN + 1 + TAKEN
        return found + (TAKEN if stays else 1 + 1 + TAKEN) + 1 + 1 + TAKEN

    def _bound(self, shift: int, wider: int) -> int:
        found = 1 + -(-shift // 7) + 1 + LOADED_CHECKED
        if self.f["out_format"] == 1:
            found += TAKEN
        else:
            found += 1 + -(-wider // 7) + 1
        return found + 3

    def _select(self) -> int:
        f = self.f
        found = 3 + LOADED_CHECKED
        found += TAKEN if f["adapt"] == Adapt.SELECT_FIRST else 2
        found += LOADED_CHECKED
        found += TAKEN + 2 if f["bin_bits"] < 8 else 1 + 2 + 1 + TAKEN
        found += 4
        for bit in (8, 16):
            found += LOADED_CHECKED
            if f["bin_shift"] & bit:
                found += TAKEN + 2 + -(-bit // 7)
            else:
                found += 1 + TAKEN
        return found + 2
