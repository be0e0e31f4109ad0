"""The networks of the papers as lists of named convolutions, and networks read from a file.

Implements: ResNet-18, 34 and 50 (He et al., CVPR 2016, Table 1; the stride of a bottleneck is in
its 3x3 convolution, as in torchvision) and ResNet-20 (Sec. 4.2); VGG-16 (Simonyan and Zisserman,
ICLR 2015, configuration D); WRN-50-2, WRN-16-8 and WRN-28-10 (Zagoruyko and Komodakis, BMVC 2016);
DenseNet-121 (Huang et al., CVPR 2017, Table 1). Names that end in `-small` are the forms customary
for 32x32 images. `golden.networks` has the same networks as torch modules.
Differs: a fully connected layer is a 1x1 convolution on a 1x1 map, which is the same arithmetic.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gscn.conv import ConvShape
from gscn.errors import InputError, raise_problems
from gscn.golden.omitted import Omitted, covered_share
from gscn.system.reading import read_json, shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer with weights."""

    name: str
    """Name of the module in torchvision's state dictionary."""
    shape: ConvShape
    linear: bool = False
    """Whether it is a fully connected layer."""
    first: bool = False
    """Whether its weights are those of the first layer, which a method may leave dense."""
    input_grad: bool | None = None
    """Whether it has an input gradient; None: unless it is the first, whose input is the image."""
    normalised: bool | None = None
    """Whether a normalisation follows it, or is what it is applied to; None where nobody said."""
    shares: str | None = None
    """Name of a layer before whose weights it uses: an earlier call of the same, or a tied one."""

    @property
    def reads_image(self) -> bool:
        """Whether its input is the image, so that no input gradient is needed."""
        return self.first if self.input_grad is None else not self.input_grad

    @property
    def has_normalisation(self) -> bool:
        """Whether a normalisation is counted: if nobody said, of convolutions alone."""
        return not self.linear if self.normalised is None else self.normalised


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A network for one image size and batch."""

    name: str
    layers: tuple[Layer, ...]
    omitted: tuple[Omitted, ...] | None = None
    """What the network computes in none of the layers; None where that is not known."""

    @property
    def covered_share(self) -> float | None:
        """Share of a forward pass's multiply-accumulates in layers; None where not known."""
        return None if self.omitted is None else covered_share(self.omitted)

    @property
    def dense_macs(self) -> int:
        """Multiplications of a dense forward pass over the batch, padding counted."""
        return sum(layer.shape.dense_macs for layer in self.layers)


_SMALL_CLASSES = 10
"""Of the networks for small images, as in CIFAR-10."""


class _Builder:
    """Appends layers while it follows the height and width of the map."""

    def __init__(self, *, image_size: int, batch: int) -> None:
        self.layers: list[Layer] = []
        self.normalised = True
        """Of the convolutions that follow; fully connected layers have no normalisation."""
        self.batch = batch
        self.channels = 3
        self.size = image_size

    def conv(
        self,
        name: str,
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        channels: int | None = None,
        size: int | None = None,
    ) -> None:
        """Append a square convolution with padding `kernel // 2` and continue on its output."""
        padding = kernel // 2
        shape = ConvShape(
            n=self.batch,
            c=channels or self.channels,
            h=size or self.size,
            w=size or self.size,
            k=filters,
            r=kernel,
            s=kernel,
            stride=(stride, stride),
            padding=(padding, padding),
        )
        first = not self.layers
        self.layers.append(Layer(name=name, shape=shape, first=first, normalised=self.normalised))
        self.channels, self.size = filters, shape.p

    def pool(self, kernel: int, stride: int, padding: int) -> None:
        """Continue on the output of a pooling layer."""
        self.size = (self.size + 2 * padding - kernel) // stride + 1

    def linear(self, name: str, inputs: int, outputs: int) -> None:
        """Append a fully connected layer."""
        shape = ConvShape(n=self.batch, c=inputs, h=1, w=1, k=outputs, r=1, s=1)
        first = not self.layers
        self.layers.append(
            Layer(name=name, shape=shape, linear=True, first=first, normalised=False)
        )


def _stem(build: _Builder, name: str, *, small: bool) -> None:
    if small:
        build.conv(name, 64, 3)
        return
    build.conv(name, 64, 7, stride=2)
    build.pool(3, 2, 1)


def _resnet(
    build: _Builder,
    blocks: tuple[int, ...],
    *,
    bottleneck: bool,
    inner_factor: int = 1,
    small: bool = False,
) -> None:
    _stem(build, "conv1", small=small)
    expansion = 4 if bottleneck else 1
    for stage, count in enumerate(blocks):
        width = 64 << stage
        for block in range(count):
            stride = 2 if stage and not block else 1
            name = f"layer{stage + 1}.{block}"
            channels, size = build.channels, build.size
            if bottleneck:
                build.conv(f"{name}.conv1", width * inner_factor, 1)
                build.conv(f"{name}.conv2", width * inner_factor, 3, stride=stride)
                build.conv(f"{name}.conv3", width * expansion, 1)
            else:
                build.conv(f"{name}.conv1", width, 3, stride=stride)
                build.conv(f"{name}.conv2", width, 3)
            if stride != 1 or channels != width * expansion:
                build.conv(
                    f"{name}.downsample.0",
                    width * expansion,
                    1,
                    stride=stride,
                    channels=channels,
                    size=size,
                )
    build.linear("fc", build.channels, _SMALL_CLASSES if small else 1000)


def _resnet20(build: _Builder) -> None:
    build.conv("conv1", 16, 3)
    for stage in range(3):
        for block in range(3):
            stride = 2 if stage and not block else 1
            build.conv(f"layer{stage + 1}.{block}.conv1", 16 << stage, 3, stride=stride)
            build.conv(f"layer{stage + 1}.{block}.conv2", 16 << stage, 3)
    build.linear("fc", build.channels, _SMALL_CLASSES)


def _wide(build: _Builder, blocks: int, factor: int) -> None:
    build.conv("conv1", 16, 3)
    for stage in range(3):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            name, filters = f"layer{stage + 1}.{block}", (16 << stage) * factor
            channels, size = build.channels, build.size
            build.conv(f"{name}.conv1", filters, 3, stride=stride)
            build.conv(f"{name}.conv2", filters, 3)
            if stride != 1 or channels != filters:
                build.conv(
                    f"{name}.shortcut", filters, 1, stride=stride, channels=channels, size=size
                )
    build.linear("fc", build.channels, _SMALL_CLASSES)


def _densenet121(build: _Builder, *, small: bool = False) -> None:
    _stem(build, "features.conv0", small=small)
    channels = 64
    for block, count in enumerate((6, 12, 24, 16)):
        if block:
            channels //= 2
            build.conv(f"features.transition{block}.conv", channels, 1)
            build.pool(2, 2, 0)
        for layer in range(count):
            name = f"features.denseblock{block + 1}.denselayer{layer + 1}"
            build.channels = channels
            build.conv(f"{name}.conv1", 128, 1)
            build.conv(f"{name}.conv2", 32, 3)
            channels += 32
        build.channels = channels
    build.linear("classifier", channels, _SMALL_CLASSES if small else 1000)


def _vgg16(build: _Builder, *, small: bool = False) -> None:
    index = 0
    build.normalised = small
    for group in ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)):
        for filters in group:
            build.conv(f"features.{index}", filters, 3)
            index += 3 if small else 2  # its normalisation, its ReLU
        build.pool(2, 2, 0)
        index += 1
    if small:
        build.linear("classifier", 512, _SMALL_CLASSES)
        return
    # The map is pooled to 7x7 whatever its size is (torchvision's adaptive average pooling).
    build.linear("classifier.0", 512 * 7 * 7, 4096)
    build.linear("classifier.3", 4096, 4096)
    build.linear("classifier.6", 4096, 1000)


_FOR_LARGE_IMAGES: dict[str, Callable[[_Builder], None]] = {
    "resnet18": lambda build: _resnet(build, (2, 2, 2, 2), bottleneck=False),
    "resnet34": lambda build: _resnet(build, (3, 4, 6, 3), bottleneck=False),
    "resnet50": lambda build: _resnet(build, (3, 4, 6, 3), bottleneck=True),
    "wrn50-2": lambda build: _resnet(build, (3, 4, 6, 3), bottleneck=True, inner_factor=2),
    "vgg16": _vgg16,
    "densenet121": _densenet121,
}
_FOR_SMALL_IMAGES: dict[str, Callable[[_Builder], None]] = {
    "resnet18-small": lambda build: _resnet(build, (2, 2, 2, 2), bottleneck=False, small=True),
    "resnet20": _resnet20,
    "wrn16-8": lambda build: _wide(build, 2, 8),
    "wrn28-10": lambda build: _wide(build, 4, 10),
    "vgg16-small": lambda build: _vgg16(build, small=True),
    "densenet121-small": lambda build: _densenet121(build, small=True),
}

_BUILDERS = _FOR_LARGE_IMAGES | _FOR_SMALL_IMAGES

NETWORKS = tuple(_BUILDERS)
"""Names that `network` knows."""
SMALL_NETWORKS = tuple(_FOR_SMALL_IMAGES)
"""Those of them that are customary for images of 32x32 pixels."""


def network(name: str, *, image_size: int, batch: int) -> Network:
    """Return the layers of a network.

    Parameters
    ----------
    name
        One of `NETWORKS`.
    image_size
        Height and width of the images, pixels; at least 32.
    batch
        Images per batch.

    Raises
    ------
    InputError
        Unknown name, or a size or batch out of range.
    """
    problems = []
    if name not in _BUILDERS:
        problems.append(f"name must be one of {', '.join(NETWORKS)}, not {name!r}")
    if image_size < 32:
        problems.append(f"image size must be at least 32 pixels, not {image_size}")
    if batch < 1:
        problems.append(f"batch must be at least 1 image, not {batch}")
    raise_problems("network", problems)
    build = _Builder(image_size=image_size, batch=batch)
    _BUILDERS[name](build)
    return Network(name=name, layers=tuple(build.layers), omitted=())


class SurveyedLayer(Protocol):
    """A layer as `golden.networks.survey` finds it in a module."""

    name: str
    shape: ConvShape
    linear: bool
    normalised: bool
    input_grad: bool
    shares: str | None


class Surveyed(Protocol):
    """What `golden.networks.survey.survey` returns."""

    layers: Sequence[SurveyedLayer]
    omitted: Sequence[Omitted]


def network_of(name: str, surveyed: Surveyed) -> Network:
    """Return a module as a list of layers, and what is in none of them.

    Parameters
    ----------
    name
        Name of the network.
    surveyed
        What `golden.networks.survey.survey` found in the module.

    Raises
    ------
    InputError
        It has no layers.
    """
    if not surveyed.layers:
        what = "; ".join(str(one) for one in surveyed.omitted) or "nothing"
        raise InputError(f"network {name} must compute at least one layer, not {what}")
    return Network(
        name=name,
        layers=tuple(
            Layer(
                name=layer.name,
                shape=layer.shape,
                linear=layer.linear,
                first=not index or layer.shares == surveyed.layers[0].name,
                input_grad=layer.input_grad,
                normalised=layer.normalised,
                shares=layer.shares,
            )
            for index, layer in enumerate(surveyed.layers)
        ),
        omitted=tuple(surveyed.omitted),
    )


MOST_LAYERS = 2000
"""Of a network file."""
MOST_FILE_SIZE = 1 << 20
"""Of a layer in a network file, along any axis."""
_REQUIRED = frozenset({"name", "c", "h", "w", "k", "r", "s"})
_OPTIONAL = frozenset(
    {"stride", "padding", "dilation", "linear", "normalised", "shares", "input_grad"}
)


def read_network(path: Path, *, batch: int) -> Network:
    """Read a network from a JSON file: a list of layers in order, the first one fed by the image.

    Each layer is an object with `name`, `c`, `h`, `w`, `k`, `r`, `s` and, if they are not 1, 0 and
    1, the pairs `stride`, `padding` and `dilation`; `"linear": true` marks a fully connected layer
    (with `h`, `w`, `r` and `s` all 1). `"normalised"` says whether a normalisation follows the
    layer, or precedes it as in pre-activation networks; where it is absent, convolutions count as
    normalised and fully connected layers as not. `"shares": "name"` says that the layer uses the
    weights of one before: it is a further call of that layer. `"input_grad": false` says that
    its input is the image, as that of the first layer is. Letters as in `gscn.conv.ConvShape`.

    Parameters
    ----------
    path
        The file.
    batch
        Images per batch.

    Raises
    ------
    InputError
        The file cannot be read, is not JSON, or describes a layer that is none.
    """
    items = read_json(path, "network file")
    if not isinstance(items, list) or not 1 <= len(items) <= MOST_LAYERS:
        raise InputError(f"network file {path} must hold a list of 1 to {MOST_LAYERS} layers")
    layers = tuple(
        _read_layer(item, where=f"network file {path}, layer {index}", index=index, batch=batch)
        for index, item in enumerate(items)
    )
    counts = Counter(layer.name for layer in layers)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise InputError(
            f"network file {path}: names of layers must differ, not repeat "
            f"{', '.join(map(_short, repeated[:5]))}"
        )
    raise_problems(f"network file {path}", _sharing_problems(layers))
    # A method that leaves the first layer dense leaves its weights dense in every call.
    layers = tuple(
        dataclasses.replace(layer, first=True, input_grad=layer.input_grad is not False)
        if layer.shares == layers[0].name
        else layer
        for layer in layers
    )
    return Network(name=path.stem, layers=layers)


def _sharing_problems(layers: Sequence[Layer]) -> list[str]:
    """Return which layers cannot use the weights that they name."""
    known: dict[str, Layer] = {}
    problems = []
    for layer in layers:
        if layer.shares is not None:
            other = known.get(layer.shares)
            if other is None or other.shares is not None:
                problems.append(
                    f"shares of {layer.name} must name a layer before it that has weights of its "
                    f"own, not {shown(layer.shares)}"
                )
            elif other.shape.w_shape != layer.shape.w_shape:
                problems.append(
                    f"weights of {layer.name} must be those of {other.name}, of shape "
                    f"{other.shape.w_shape}, not {layer.shape.w_shape}"
                )
        known[layer.name] = layer
    return problems


def _short(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:100]}..."


def _read_layer(item: object, *, where: str, index: int, batch: int) -> Layer:
    if not isinstance(item, dict):
        raise InputError(f"{where}: must be an object, not {shown(item)}")
    problems = [f"{name} is missing" for name in sorted(_REQUIRED - item.keys())]
    problems += [
        f"unknown field {shown(name)}" for name in sorted(item.keys() - _REQUIRED - _OPTIONAL)
    ]
    if not isinstance(item.get("name", ""), str):
        problems.append(f"name must be text, not {shown(item['name'])}")
    problems += [
        f"{name} must be true or false, not {shown(item[name])}"
        for name in ("linear", "normalised", "input_grad")
        if name in item and not isinstance(item[name], bool)
    ]
    if not isinstance(item.get("shares", ""), str):
        problems.append(f"shares must be the name of a layer, not {shown(item['shares'])}")
    problems += [
        f"{name} must be a whole number, not {shown(item[name])}"
        for name in sorted(_REQUIRED - {"name"})
        if name in item and type(item[name]) is not int
    ]
    problems += [
        f"{name} must be a pair of whole numbers, not {shown(item[name])}"
        for name in ("stride", "padding", "dilation")
        if name in item
        and not (
            isinstance(item[name], list)
            and len(item[name]) == 2
            and all(type(value) is int for value in item[name])
        )
    ]
    raise_problems(where, problems)
    sizes = {name: item[name] for name in _REQUIRED - {"name"}}
    problems = [
        f"{name} must be at most {MOST_FILE_SIZE}, not {size}"
        for name, size in sorted(sizes.items())
        if size > MOST_FILE_SIZE
    ]
    raise_problems(where, problems)
    pairs = {name: tuple(item[name]) for name in ("stride", "padding", "dilation") if name in item}
    try:
        shape = ConvShape(n=batch, **sizes, **pairs)
    except InputError as error:
        raise InputError(f"{where} ({_short(item['name'])}): {error}") from error
    linear = item.get("linear", False)
    if linear and (shape.h, shape.w, shape.r, shape.s) != (1, 1, 1, 1):
        raise InputError(f"{where} ({_short(item['name'])}): a linear layer has h, w, r and s of 1")
    return Layer(
        name=item["name"],
        shape=shape,
        linear=linear,
        first=index == 0,
        input_grad=item.get("input_grad"),
        normalised=item.get("normalised"),
        shares=item.get("shares"),
    )
