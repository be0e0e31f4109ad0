"""What a sparse-training method can be told. Without torch, so that it is quick to import."""

from __future__ import annotations

import dataclasses
import numbers
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from gscn.errors import InputError, raise_problems

ARITHMETICS = ("float32", "bf16", "fp16", "fp8", "fp8_e4m3", "fp8_e5m2")
"""Of the convolutions' passes: torch's in float32, or operands in the formats of
`golden.methods.operand_formats.FORMATS` with exact sums in a window of 48 bits, rounded once to
float32 (docs/contract/floating-point.md)."""
SCALES = ("none", "amax", "mx")
"""Powers of two by which operands are multiplied before they are rounded: 1; the largest one with
which the tensor is in the format, not for bf16, which needs none; or those of blocks of 32
channels, of formats of 8 bits alone."""
BUDGETS = ("uniform", "erk", "momentum")
"""SWAT-U, SWAT-ERK, SWAT-M: how the weights kept are shared out among the layers."""
STRUCTURES = ("unstructured", "kernel", "filter")
"""What SWAT drops together: nothing, the R x S weights of a (k, c) pair, the weights of a k."""
LAYER_RULES = ("paper", "dense", "sparse")
"""As published, or always dense, or always sparse."""


def default_scales(arithmetic: str) -> str:
    """Return which of `SCALES` belongs to one of `ARITHMETICS`: 8 bits need scales."""
    return "amax" if arithmetic.startswith("fp8") else "none"


def scales_of(arithmetic: str) -> tuple[str, ...]:
    """Return which of `SCALES` one of `ARITHMETICS` can have."""
    if arithmetic.startswith("fp8"):
        return SCALES
    return SCALES[:2] if arithmetic == "fp16" else SCALES[:1]


def plain_number(value: Any) -> Any:
    """Return the Python number, or truth value, of a scalar of numpy or torch; others as they are.

    A number of fewer digits is the shortest decimal that it stands for: `float32(0.9)` is 0.9.
    """
    if isinstance(value, int | float) and type(value).__module__ == "builtins":
        return value
    if isinstance(value, numbers.Number) and not hasattr(value, "item"):
        return float(value) if isinstance(value, numbers.Real | Decimal) else value
    if getattr(value, "ndim", None) != 0 or not hasattr(value, "item"):
        return value
    found = value.item()
    if not isinstance(found, float):
        return found
    # numpy writes the shortest decimal; of torch's types it has all but bfloat16.
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    return float(str(value))


def is_share(value: object) -> bool:
    """Whether a value is a number that is at least 0 and less than 1."""
    value = plain_number(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


class _Checked:
    """Collects what is wrong with the fields that a method has, and raises it all together."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Collect every problem and raise them together."""
        one_of = {
            "budget": BUDGETS,
            "structure": STRUCTURES,
            "first_layer": LAYER_RULES,
            "last_layer": LAYER_RULES,
            "linear_layers": LAYER_RULES,
        }
        problems = []
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = plain_number(getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            requirement = None
            if field.name in one_of:
                if not isinstance(value, str) or value not in one_of[field.name]:
                    requirement = f"one of {', '.join(one_of[field.name])}"
            elif field.name == "sparsity":
                if not is_share(value):
                    requirement = "at least 0 and less than 1"
            elif field.name == "reuse_sparsity":
                if value is not None and not is_share(value):
                    requirement = "None, or at least 0 and less than 1"
            elif field.name == "refresh_period":
                if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                    requirement = "a whole number of at least 1"
            elif not isinstance(value, bool):
                requirement = "True or False"
            if requirement is not None:
                problems.append(f"{field.name} must be {requirement}, not {value!r}")
        raise_problems(type(self).__name__, problems)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dense(_Checked):
    """No sparsity: the passes are only computed apart, so that they can be observed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SWAT(_Checked):
    """Sparse weights in all passes, sparse activations in the weight gradient.

    Raises
    ------
    InputError
        Naming every field out of range, all at once.
    """

    sparsity: float = 0.8
    """Share of the weights dropped, of all sparse layers together; at least 0 and less than 1."""
    budget: str = "uniform"
    """One of `BUDGETS`. A layer's activations are as dense as its weights."""
    structure: str = "unstructured"
    """One of `STRUCTURES`; of the weights, activations are always unstructured."""
    refresh_period: int = 10
    """Training iterations between exact thresholds, at least 1. Those of linear layers and of
    structured weights are exact in every iteration."""
    first_layer: str = "paper"
    """One of `LAYER_RULES`; published: dense with the uniform budget, sparse with the others."""
    last_layer: str = "paper"
    """One of `LAYER_RULES`; published: sparse."""
    check_gradients: bool = True
    """Whether output gradients that are not finite raise an error; with a scaler of the loss
    (`golden.follow_scaler`) none does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReSprop(_Checked):
    """Output gradients as sparse differences to the gradient of an earlier sample.

    Raises
    ------
    InputError
        Naming every field out of range, all at once.
    """

    sparsity: float = 0.8
    """Reuse sparsity: 5 points more than this share of the differences are kept; at least 0 and
    less than 1."""
    warm_up: bool = False
    """W-ReSprop: approach the sparsity over the first nine epochs; needs a schedule."""
    first_layer: str = "paper"
    """One of `LAYER_RULES`; published: sparse."""
    last_layer: str = "paper"
    """One of `LAYER_RULES`; published: sparse if it is a convolution."""
    linear_layers: str = "paper"
    """One of `LAYER_RULES`; published: dense."""
    check_gradients: bool = True
    """Whether output gradients that are not finite raise an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SWATReSprop(_Checked):
    """SWAT and ReSprop together: both operands of both backward passes are sparse.

    Raises
    ------
    InputError
        Naming every field out of range, all at once.
    """

    sparsity: float = 0.8
    """As of `SWAT`."""
    reuse_sparsity: float | None = None
    """As `ReSprop.sparsity`; by default the same as `sparsity`."""
    budget: str = "uniform"
    """As of `SWAT`."""
    structure: str = "unstructured"
    """As of `SWAT`."""
    refresh_period: int = 10
    """As of `SWAT`."""
    warm_up: bool = False
    """As of `ReSprop`."""
    first_layer: str = "paper"
    """One of `LAYER_RULES`; "paper" takes for each method what is published for it."""
    last_layer: str = "paper"
    """One of `LAYER_RULES`; "paper" takes for each method what is published for it."""
    linear_layers: str = "paper"
    """As of `ReSprop`; SWAT takes part in linear layers whatever this says, unless "dense"."""
    check_gradients: bool = True
    """Whether output gradients that are not finite raise an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DST(_Checked):
    """Weights masked by trainable thresholds, one per filter or neuron.

    Raises
    ------
    InputError
        Naming every field out of range, all at once.
    """

    first_layer: str = "paper"
    """One of `LAYER_RULES`; published: sparse."""
    last_layer: str = "paper"
    """One of `LAYER_RULES`; published: sparse."""
    check_gradients: bool = True
    """Whether output gradients that are not finite raise an error."""


Method: TypeAlias = Dense | SWAT | ReSprop | SWATReSprop | DST

METHODS: dict[str, type[Method]] = {
    "dense": Dense,
    "swat": SWAT,
    "resprop": ReSprop,
    "swat+resprop": SWATReSprop,
    "dst": DST,
}
"""Options by the name of their method."""


def resolve(method: str | Method, options: dict[str, Any]) -> Method:
    """Return the options of a method that is given by name, or as options already.

    Raises
    ------
    InputError
        Unknown method, option that the method does not have, or value out of range; all at once.
    """
    if isinstance(method, tuple(METHODS.values())):
        if options:
            raise InputError(
                f"method must be given by its name if options follow ({', '.join(options)}), "
                f"not as {type(method).__name__}"
            )
        return method
    if not isinstance(method, str) or method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    kind = METHODS[method]
    known = [field.name for field in dataclasses.fields(kind)]
    problems = [
        f"option of {method} must be one of {', '.join(known) or '(none)'}, not {name}"
        for name in options
        if name not in known
    ]
    try:
        made = kind(**{name: value for name, value in options.items() if name in known})
    except InputError as error:
        problems.append(str(error))
    raise_problems(method, problems)
    return made
