"""A generator of images by transposed convolutions, as a network of a user's own."""

from torch import nn


def generator() -> nn.Module:
    """Return a network that makes images of 32x32 pixels of 100 numbers each."""
    return nn.Sequential(
        nn.Linear(100, 256 * 4 * 4),
        nn.Unflatten(1, (256, 4, 4)),
        nn.ConvTranspose2d(256, 128, 4, stride=2, padding=1),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 3, 4, stride=2, padding=1),
        nn.Tanh(),
    )
