"""Operations of a training step in the making: tensors, rows and states that they name."""

from __future__ import annotations

from typing import Any

from gscn.conv import ConvShape
from gscn.encode import Adapt, Masked
from gscn.enums import takes_text
from gscn.errors import InputError
from gscn.lowering.step.layers import IMAGES, Training
from gscn.passes import VECTOR
from gscn.step import Blocks, Encode, Normalised, Operation, Rows, State, Tensor, Use, Walk

SELECTIONS = {False: ((7, 8), (0, 7)), True: ((23, 8), (15, 8), (7, 8), (0, 7))}
"""Of a selection in bf16, or float32: bits below, and bits found, of each pass."""


class Names:
    """Operations of a step, and what they name.

    Parameters
    ----------
    how
        How the step trains.
    """

    def __init__(self, how: Training) -> None:
        self.how = how
        self.ops: list[Operation] = []
        self.tensors: dict[str, Tensor] = {}
        self.tables: dict[str, Rows] = {}
        self.states: dict[str, State] = {}
        self.maps: dict[str, tuple[int, int, int, int]] = {}
        self.map_states: dict[str, str] = {}
        self.shapes: dict[str, ConvShape] = {}
        """Of convolutions; groups are packs."""
        self.grouped: dict[str, ConvShape] = {}
        """Of those that have groups, as they are."""
        self.blocks: dict[str, Blocks] = {}
        self.norms: dict[str, Normalised] = {}
        self.windows: dict[str, tuple[int, int, int, int]] = {}
        self.grads: dict[str, list[Use]] = {}
        self.plain: set[str] = set()
        """Convolutions whose result is a map."""
        self.weights_of: dict[str, tuple[str, dict[str, int]]] = {}
        """Of convolutions: the tensor that operands are made of, and how they are chosen."""

    # -- what operations name

    def tensor(
        self, name: str, shape: tuple[int, int, int, int], *, wide: bool = False,
        weights: bool = False, apart: bool = False,
    ) -> str:  # fmt: skip
        """Return the name of a dense tensor."""
        self.tensors[name] = Tensor(shape, wide, weights, apart=apart)
        return name

    def made_in_parts(self, name: str, layer: str, shape: tuple[int, int, int, int]) -> str:
        """Return the name of a map in bf16 that passes of a convolution make part by part.

        Raises
        ------
        InputError
            Parts are of an odd number of vectors, of an odd number of positions: none but the first
            begins where the array may write.
        """
        n, channels, rows, cols = shape
        parts = self.shapes[layer].groups
        vectors = channels // parts // VECTOR
        odd = parts > 1 and bool(n * rows * cols * vectors % 2)
        if odd and vectors > 1:
            raise InputError(
                f"layer {layer}: {n} x {rows} x {cols} positions of {channels // parts} channels "
                "must be even in number, so that results of groups begin at multiples of 64 bytes"
            )
        return self.tensor(name, shape, apart=odd)

    def only_blocks(self, layer: str) -> tuple[str | None, dict[str, int]]:
        """Return the mask, and fields, by which a pass over weights has none between blocks."""
        bits = f"blocks.{layer}"
        return (bits, {"masked": int(Masked.RESULT)}) if bits in self.blocks else (None, {})

    def map_(self, name: str, shape: tuple[int, int, int, int]) -> None:
        """Note the map that a layer makes."""
        self.maps[name] = shape
        self.map_states[name] = self.state(f"s.z.{name}")
        self.tensor(f"z.{name}", shape)

    def name_of(self, source: str) -> str:
        """Return the tensor of a layer's map."""
        if source == IMAGES:
            return source
        return f"y.{source}" if source in self.plain else f"z.{source}"

    def state(self, name: str, **fields: Any) -> str:
        """Return the name of a state."""
        self.states.setdefault(name, State(**fields))
        return name

    def table(self, name: str, channels: int, **values: float) -> str:
        """Return the name of a table of rows."""
        self.tables.setdefault(name, Rows(channels, values))
        return name

    def one(self, channels: int) -> str:
        """Return the name of rows by which tensors are added."""
        return self.table(f"one.{channels}", channels, c0=1.0, c1=1.0, c2=1.0)

    def first(self, channels: int) -> str:
        """Return the name of rows by which tensor 0 is copied."""
        return self.table(f"first.{channels}", channels, c0=1.0, c1=0.0, c2=0.0)

    @takes_text
    def pass_(
        self, name: str, walk: Walk, shape: tuple[int, int, int, int], uses: list[Use], **more: Any
    ) -> Encode:
        """Return an encode pass."""
        return Encode(name=name, walk=walk, shape=shape, tensors=tuple(uses), **more)

    @takes_text
    def select(
        self, name: str, walk: Walk, size: tuple[int, int, int, int], tensor: str, state: str,
        *, wide: bool,
    ) -> None:  # fmt: skip
        """Add the passes that find the threshold of a tensor's largest values."""
        for number, (shift, bits) in enumerate(SELECTIONS[wide]):
            adapt = Adapt.SELECT_NEXT if number else Adapt.SELECT_FIRST
            self.ops.append(
                self.pass_(
                    f"{name}.{number}", walk, size, [Use(tensor)], state=state, wide=wide,
                    rows=self.first(size[0 if walk is Walk.WEIGHTS else 1]),
                    fields={"adapt": int(adapt), "bin_shift": shift, "bin_bits": bits},
                )
            )  # fmt: skip
