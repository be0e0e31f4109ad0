"""`python -m benchmarks`: single layers on the cycle model, and how samples depend on their size.

The pages of docs/ are made by `python -m benchmarks.docs`.
"""

from __future__ import annotations

from benchmarks import layers
from gscn.command.result import table
from gscn.conv import Pass


def main() -> None:
    """Compute and print."""
    # The first run compiles the model, which is no part of its speed.
    name = next(iter(layers.LAYERS))
    layers.compute(name, Pass.FORWARD)
    single = [layers.compute(name, which) for name in layers.LAYERS for which in Pass]
    print(table(list(single[0]), [list(row.values()) for row in single], title="Single layers"))
    sizes = [layers.sample_size(products) for products in layers.SAMPLE_SIZES]
    print(table(list(sizes[0]), [list(row.values()) for row in sizes], title="Size of samples"))


if __name__ == "__main__":
    main()
