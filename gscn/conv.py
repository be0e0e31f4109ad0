"""Convolution shapes and the three passes of training."""

from __future__ import annotations

import dataclasses
import enum
import numbers
from dataclasses import dataclass

from gscn.enums import takes_text
from gscn.errors import InputError, raise_problems


class Pass(enum.StrEnum):
    """The three convolutions of a training step."""

    FORWARD = "forward"
    """Y = conv(X, W)."""
    INPUT_GRAD = "input-grad"
    """dX from W and dY."""
    WEIGHT_GRAD = "weight-grad"
    """dW from X and dY."""

    @property
    def of_transposed(self) -> Pass:
        """What this pass of a transposed convolution is of the convolution that it transposes.

        Their weights are the same, and what is the input of one is the output of the other.
        """
        swapped = {Pass.FORWARD: Pass.INPUT_GRAD, Pass.INPUT_GRAD: Pass.FORWARD}
        return swapped.get(self, self)


MOST_SIZE = (1 << 31) - 1
"""Of anything in the shape of a convolution."""


def _is_whole(value: object) -> bool:
    if type(value) is int:  # told quickly, as plans look at very many shapes
        return True
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvShape:
    """A two-dimensional convolution: `Y[N,K,P,Q] = conv(X[N,C,H,W], W[K,C/groups,R,S])`.

    N batch, C input channels, H and W input height and width, K output channels, R and S kernel
    height and width, P and Q output height and width. Pairs are (vertical, horizontal). Channels
    are cut into `groups` of consecutive ones, each a convolution of its own (`group`).

    Raises
    ------
    InputError
        Naming every field out of range, and groups that do not divide both channels.
    """

    n: int
    c: int
    h: int
    w: int
    k: int
    r: int
    s: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        problems = []
        for name in ("n", "c", "h", "w", "k", "r", "s"):
            size = getattr(self, name)
            if not _is_whole(size):
                problems.append(f"{name} must be a whole number, not {size!r}")
            elif not 1 <= size <= MOST_SIZE:
                bound = "at least 1" if size < 1 else f"at most {MOST_SIZE}"
                problems.append(f"{name} must be {bound}, not {size}")
        for name, low in (("stride", 1), ("padding", 0), ("dilation", 1)):
            pair = getattr(self, name)
            if (
                not isinstance(pair, tuple)
                or len(pair) != 2
                or not all(_is_whole(one) and one >= low for one in pair)
            ):
                problems.append(f"{name} must be two numbers of at least {low}, not {pair!r}")
            elif max(pair) > MOST_SIZE:
                problems.append(f"{name} must be at most {MOST_SIZE}, not {pair}")
        if not _is_whole(self.groups) or self.groups < 1:
            problems.append(f"groups must be a whole number of at least 1, not {self.groups!r}")
        raise_problems("convolution", problems)
        if self.c % self.groups or self.k % self.groups:
            problems.append(
                f"groups must divide both c ({self.c}) and k ({self.k}), not be {self.groups}"
            )
        if self.p < 1 or self.q < 1:
            problems.append(
                f"kernel {self.r}x{self.s} with dilation {self.dilation} must fit the padded input "
                f"{self.h + 2 * self.padding[0]}x{self.w + 2 * self.padding[1]}"
            )
        raise_problems("convolution", problems)

    @classmethod
    def of_transposed(
        cls,
        *,
        n: int,
        c: int,
        h: int,
        w: int,
        k: int,
        output_padding: tuple[int, int] = (0, 0),
        **others: int | tuple[int, int],
    ) -> ConvShape:
        """Return the convolution that a transposed one transposes.

        Its weights are those of the transposed one, in the same layout, its outputs are the
        inputs, and its inputs the outputs (`Pass.of_transposed`).

        Parameters
        ----------
        n, c, h, w, k
            Of the transposed convolution: batch, input channels, height and width of the inputs,
            output channels.
        output_padding
            Rows and columns by which its outputs are higher and wider, of those for which inputs
            would have the same size; less than the stride.
        **others
            The other fields, which both have in common.

        Raises
        ------
        InputError
            Naming every field out of range, and an output padding of another size.
        """
        # Checks the fields that both have, on maps that hold any kernel.
        plain = cls(n=n, c=c, h=MOST_SIZE, w=MOST_SIZE, k=k, **others)
        problems = [
            f"{name} must be from 1 to {MOST_SIZE}, not {size!r}"
            for name, size in (("h", h), ("w", w))
            if not _is_whole(size) or not 1 <= size <= MOST_SIZE
        ]
        if (
            not isinstance(output_padding, tuple)
            or len(output_padding) != 2
            or not all(
                _is_whole(more) and 0 <= more < stride
                for more, stride in zip(output_padding, plain.stride, strict=True)
            )
        ):
            problems.append(
                f"output_padding must be two numbers, each less than the stride {plain.stride}, "
                f"not {output_padding!r}"
            )
        raise_problems("transposed convolution", problems)
        height, width = (
            (size - 1) * stride - 2 * padding + dilation * (taps - 1) + 1 + more
            for size, stride, padding, dilation, taps, more in zip(
                (h, w), plain.stride, plain.padding, plain.dilation, (plain.r, plain.s),
                output_padding, strict=True,
            )
        )  # fmt: skip
        if not 1 <= min(height, width) <= max(height, width) <= MOST_SIZE:
            raise InputError(
                f"transposed convolution: outputs must be 1x1 to {MOST_SIZE}x{MOST_SIZE}, not "
                f"{height}x{width}"
            )
        return dataclasses.replace(plain, c=k, h=height, w=width, k=c)

    @property
    def output_padding(self) -> tuple[int, int]:
        """Rows and columns of the inputs past the last that a kernel meets: see `of_transposed`."""
        height, width = (
            (size + 2 * padding - dilation * (taps - 1) - 1) % stride
            for size, stride, padding, dilation, taps in zip(
                (self.h, self.w), self.stride, self.padding, self.dilation, (self.r, self.s),
                strict=True,
            )
        )  # fmt: skip
        return height, width

    @property
    def p(self) -> int:
        """Output height."""
        span = self.dilation[0] * (self.r - 1) + 1
        return (self.h + 2 * self.padding[0] - span) // self.stride[0] + 1

    @property
    def q(self) -> int:
        """Output width."""
        span = self.dilation[1] * (self.s - 1) + 1
        return (self.w + 2 * self.padding[1] - span) // self.stride[1] + 1

    @property
    def group(self) -> ConvShape:
        """The convolution of the channels of one group; itself if there is one only."""
        if self.groups == 1:
            return self
        return dataclasses.replace(self, c=self.c // self.groups, k=self.k // self.groups, groups=1)

    def require_one_group(self, what: str) -> None:
        """Raise `InputError` if there are several groups, which `what` cannot have."""
        if self.groups != 1:
            raise InputError(f"groups must be 1 in {what}, not {self.groups}")

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        """Shape of the input (and of its gradient): (N, C, H, W)."""
        return (self.n, self.c, self.h, self.w)

    @property
    def w_shape(self) -> tuple[int, int, int, int]:
        """Shape of the weights (and of their gradient): (K, C/groups, R, S)."""
        return (self.k, self.c // self.groups, self.r, self.s)

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        """Shape of the output (and of its gradient): (N, K, P, Q)."""
        return (self.n, self.k, self.p, self.q)

    @property
    def dense_macs(self) -> int:
        """Multiplications of a dense pass, padding counted, equal in all passes.

        N*K*P*Q*C*R*S / groups.
        """
        return self.n * self.k * self.p * self.q * (self.c // self.groups) * self.r * self.s

    @takes_text
    def operand_shapes(self, which: Pass) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Shapes of the operands (first, second) of a pass.

        Forward: (weights, inputs). Input gradient: (weights, output gradients).
        Weight gradient: (output gradients, inputs).
        """
        return {
            Pass.FORWARD: (self.w_shape, self.x_shape),
            Pass.INPUT_GRAD: (self.w_shape, self.y_shape),
            Pass.WEIGHT_GRAD: (self.y_shape, self.x_shape),
        }[which]

    @takes_text
    def result_shape(self, which: Pass) -> tuple[int, ...]:
        """Shape of the result of a pass."""
        return {
            Pass.FORWARD: self.y_shape,
            Pass.INPUT_GRAD: self.x_shape,
            Pass.WEIGHT_GRAD: self.w_shape,
        }[which]
