"""The networks of the papers as lists of named convolutions.

Implements: ResNet-18, 34 and 50 (He et al., CVPR 2016, Table 1; the stride of a bottleneck is in
its 3x3 convolution, as in torchvision) and ResNet-20 (Sec. 4.2); VGG-16 (Simonyan and Zisserman,
ICLR 2015, configuration D); WRN-50-2, WRN-16-8 and WRN-28-10 (Zagoruyko and Komodakis, BMVC 2016);
DenseNet-121 (Huang et al., CVPR 2017, Table 1). Names that end in `-small` are the forms customary
for 32x32 images. `golden.networks` has the same networks as torch modules.
Differs: a fully connected layer is a 1x1 convolution on a 1x1 map, which is the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable

from gscn.conv import ConvShape
from gscn.errors import raise_problems
from gscn.perf.workload.layers import Layer, Network

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
