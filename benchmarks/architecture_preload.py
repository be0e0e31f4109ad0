"""What processes of `benchmarks.architectures` have when they begin: imports, and machine code.

Imported by their server, which they are forked from: what estimates run is compiled, or loaded,
once for all of them, and is in no architecture's seconds.
"""

from __future__ import annotations

from torch import nn

from benchmarks.architecture_trial import ESTIMATED
from gscn.command.analysis import analyse

for groups in (1, 2):
    model = nn.Sequential(
        nn.Conv2d(4, 4, 3, groups=groups), nn.ReLU(), nn.Flatten(), nn.Linear(144, 4)
    )
    for method in ESTIMATED:
        analyse(model, (2, 4, 8, 8), method=method.value)
