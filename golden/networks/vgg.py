"""VGG-16 for ImageNet, and the form customary for 32x32 images.

Implements: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition", ICLR 2015, configuration D.
Differs: initial weights are He et al.'s (ICCV 2015). The small form has batch normalisation and one
fully connected layer, as in the sparse-training papers' CIFAR results.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

_GROUPS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16(nn.Module):
    """Thirteen 3x3 convolutions with biases in five groups, each before a pooling.

    Parameters
    ----------
    classes
        Scores.
    small
        With batch normalisation and one fully connected layer; otherwise with three, and dropout.
    in_channels
        Of the images.
    """

    def __init__(self, *, classes: int = 1000, small: bool = False, in_channels: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for group in _GROUPS:
            for filters in group:
                layers.append(nn.Conv2d(channels, filters, 3, padding=1))
                if small:
                    layers.append(nn.BatchNorm2d(filters))
                layers.append(nn.ReLU())
                channels = filters
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.map_size = 1 if small else 7
        if small:
            self.classifier: nn.Module = nn.Linear(channels, classes)
        else:
            self.classifier = nn.Sequential(
                nn.Linear(channels * self.map_size**2, 4096),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(4096, 4096),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(4096, classes),
            )
        for layer in self.features:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (N, classes) for images (N, in_channels, H, W), at least 32x32."""
        hidden = functional.adaptive_avg_pool2d(self.features(images), self.map_size)
        return self.classifier(hidden.flatten(1))
