"""A whole training step, exactly, on tensors in the shapes of torch.

Implements: the operations of `gscn.step`, by docs/contract/encode.md and docs/contract/lists.md.
Differs: from any hardware in how it gets there; there are no addresses, and no strips but for what
they hold. Convolutions are `golden.oracle.float_conv`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gscn.conv import Pass
from gscn.encode import Adapt, Reduce
from gscn.formats import BF16, FLOAT32
from gscn.golden.oracle.encode import kth_magnitude, stepped
from gscn.golden.oracle.float_conv import conv_windowed, round_sums
from gscn.golden.oracle.floats import decode, encode
from gscn.golden.oracle.step_values import (
    Computed,
    Sums,
    are_there,
    by_weights,
    compute,
    in_shape,
    lined_up,
    reduced,
    sum_up,
    with_channels,
)
from gscn.golden.oracle.step_windows import bits_of, put
from gscn.step import Convolve, Encode, Step, Stop, Top, Walk

NAMES = ("c0", "c1", "c2", "bias", "second", "threshold_a")
OVERFLOW = 4


class GoldenStep:
    """A training step on tensors.

    Parameters
    ----------
    step
        Its operations.
    host
        What the host does at a stop; it returns whether to go back.

    Attributes
    ----------
    tensors : dict
        Codes of dense tensors.
    strips : dict
        Codes of what strips hold, in the shapes of what they are made of.
    states : dict
        States: threshold_a, threshold_b, kept_a, nonzeros, elements, largest, sum_top, dot_top,
        flags.
    rows : dict
        float32 coefficients of each table, by their names.
    sums : dict
        `golden.oracle.step_values.Sums`.
    sample : int
        Which sample passes of one sample take.
    """

    def __init__(self, step: Step, host: Callable[[GoldenStep, Stop], bool]) -> None:
        self.step, self.host, self.sample = step, host, 0
        self.tensors: dict[str, np.ndarray] = {}
        self.strips: dict[str, np.ndarray] = {}
        self.bits: dict[str, np.ndarray] = {}
        self.sums: dict[str, Sums] = {}
        self.tops: dict[str, int] = {}
        self.rows: dict[str, dict[str, np.ndarray]] = {}
        self.states: dict[str, dict[str, int]] = {}
        self.follow(step)

    def follow(self, step: Step) -> None:
        """Take the operations of another step on the same tensors."""
        self.step = step
        for name, one in step.tensors.items():
            kind = np.uint32 if one.wide else np.uint16
            self.tensors.setdefault(name, np.zeros(one.shape, dtype=kind))
        for name, one in step.blocks.items():
            there = np.moveaxis(one.there(), 0, -1)
            self.bits.setdefault(name, there.reshape(-1, there.shape[-1]))
        for name, one in step.rows.items():
            self.rows.setdefault(
                name,
                {
                    field: np.full(one.channels, one.values.get(field, 0.0), dtype=np.float32)
                    for field in NAMES
                },
            )
        for name, one in step.states.items():
            code = int(np.float32(one.threshold).view(np.uint32)) >> 16
            self.states.setdefault(
                name,
                {
                    "threshold_a": code,
                    "threshold_b": 0,
                    "keep": one.keep,
                    "low": one.low,
                    "high": one.high,
                    "step": one.step,
                    "kept_a": 0,
                    "nonzeros": 0,
                    "elements": 0,
                    "largest": 0,
                    "sum_top": 0,
                    "dot_top": 0,
                    "flags": 0,
                },
            )

    def run(self) -> None:
        """Run the step."""
        places = {op.name: number for number, op in enumerate(self.step.operations)}
        at = 0
        while at < len(self.step.operations):
            op = self.step.operations[at]
            at += 1
            if isinstance(op, Encode):
                self._encode(op)
            elif isinstance(op, Convolve):
                self._convolve(op)
            elif isinstance(op, Top):
                self._top(op)
            elif self.host(self, op):
                at = places[op.again]

    def _top(self, op: Top) -> None:
        top = op.margin + sum(max(1, self.states[name]["largest"]) for name in op.states)
        if op.which == "window":
            self.tops[op.target] = top
        else:
            self.states[op.target][op.which] = top

    def _convolve(self, op: Convolve) -> None:
        sums = conv_windowed(
            op.shape, op.which, self.strips[op.first], self.strips[op.second], BF16,
            top=self.tops[op.name],
        )  # fmt: skip
        codes, _, _ = round_sums(sums, FLOAT32 if op.wide else BF16)
        if op.spread is not None:
            step, y, x = op.spread
            rows, cols = self.step.tensors[op.result].shape[2:]
            codes = codes[:, :, y::step, x::step][:, :, :rows, :cols]
        if op.part is not None:
            whole = self.tensors[op.result].copy()
            op.part.of(whole, 0 if op.which is Pass.WEIGHT_GRAD else 1)[...] = codes
            codes = whole
        self.tensors[op.result] = codes

    # -- encode passes

    def _encode(self, op: Encode) -> None:
        values: list[np.ndarray | None] = [None] * 3
        for number, use in enumerate(op.tensors):
            if use is None:
                continue
            codes = self.tensors[use.name]
            if op.walk is Walk.ONE:
                codes = codes[self.sample : self.sample + 1]
            if op.part is not None:
                codes = op.part.of(codes, 0 if by_weights(op) else 1)
            found = lined_up(op, codes, broadcast=use.broadcast)
            exact = decode(found, FLOAT32 if self.step.tensors[use.name].wide else BF16)
            absolute = op.fields.get("absolute", 0) >> number & 1
            values[number] = np.abs(exact) if absolute else exact
        state = self.states[op.state]
        mask = self.bits[op.mask] if op.mask is not None else None
        if mask is not None and op.walk is Walk.HOLDING:
            mask = bits_of(op, mask)
        rows = self.rows[op.rows]
        if op.part is not None and not by_weights(op):
            rows = {name: op.part.of(row, 0) for name, row in rows.items()}
        made = compute(op, values, mask, rows, state)
        here = np.broadcast_to(are_there(op)[:, None], made.last.shape)
        made = made._replace(kept=made.kept & here)
        flags = made.flags | self._results(op, made, values, here)
        self._note(op, made, here, flags)

    def _results(
        self, op: Encode, made: Computed, values: list[np.ndarray | None], here: np.ndarray
    ) -> int:
        """Keep the results of a pass; return whether a window of sums was left, as a flag."""
        out, results = FLOAT32 if op.wide else BF16, op.results
        state, flags = self.states[op.state], 0
        dense, bits = made.first, decode(made.last, out) != 0
        if op.fields.get("reduce"):
            dense, chosen = reduced(op, made.first, made.kept, here, state["sum_top"])
            bits = chosen if op.fields["reduce"] == Reduce.MAXIMUM else bits
        if "dense" in results:
            self._put(op, results["dense"], in_shape(op, dense))
        if "second" in results:
            self._put(op, results["second"], in_shape(op, made.last))
        if "bits" in results:
            self.bits[results["bits"]] = bits
        if "sums" in results:
            dot = op.fields.get("dot", 0)
            other = values[dot - 1] if dot else None
            tops = (state["sum_top"], state["dot_top"])
            found, left = sum_up(decode(made.first, out), other, tops)
            self.sums[results["sums"]] = found
            flags |= OVERFLOW * left
        for part, kept in (("a", made.kept), ("b", made.kept_b)):
            if part in results:
                codes = in_shape(op, np.where(kept & here, made.last, 0).astype(made.last.dtype))
                codes = encode(decode(codes, out), BF16).codes if op.wide else codes
                self.strips[results[part]] = with_channels(op, codes)
        return flags

    def _put(self, op: Encode, name: str, codes: np.ndarray) -> None:
        if op.walk is Walk.HOLDING:
            self.tensors[name] = put(op, self.tensors[name], codes)
            return
        whole = np.zeros_like(self.tensors[name])
        if op.spread is None:
            whole[:, : codes.shape[1]] = codes
            self.tensors[name] = whole
            return
        step, y, x = op.spread
        whole[:, :, y::step, x::step][:, :, : codes.shape[2], : codes.shape[3]] = codes
        self.tensors[name] = whole

    def _note(self, op: Encode, made: Computed, here: np.ndarray, flags: int) -> None:
        """Note counts in a state, and adapt its threshold."""
        state, out = self.states[op.state], FLOAT32 if op.wide else BF16
        exact = np.where(here, decode(made.last, out), 0.0)
        finite = np.isfinite(exact) & (exact != 0)
        exponents = np.maximum(np.frexp(np.where(finite, exact, 1))[1] + 126, 1)
        count = int(made.kept.sum())
        adapt = op.fields.get("adapt", Adapt.NONE)
        if adapt == Adapt.STEP:
            bounds = (state["low"], state["high"])
            found = stepped(state["threshold_a"], count, bounds, state["step"], out)
            state["threshold_a"] = found
        elif adapt and op.fields["bin_shift"] == 0:
            state["threshold_a"] = kth_magnitude(made.last, state["keep"], out)
        state |= {
            "kept_a": count, "nonzeros": int((exact != 0).sum()), "elements": int(here.sum()),
            "largest": int(np.where(finite, exponents, 0).max()), "flags": flags,
        }  # fmt: skip


def as_codes(values: Any, *, wide: bool) -> np.ndarray:
    """Return codes of float32 or bf16 of numbers."""
    return encode(np.asarray(values, dtype=np.float64), FLOAT32 if wide else BF16).codes
