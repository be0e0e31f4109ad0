"""The tables of traced layers say what was measured."""

import pytest

from benchmarks import simulators, traced
from benchmarks.rtl import BOUNDS, STALLS
from gscn.conv import Pass


def row(layer, which, kernel, utilization, ports):
    shares = {name: (1 - utilization) / len(STALLS) for name in STALLS} | {"busy": utilization}
    busy = dict(zip(BOUNDS, (utilization, *ports), strict=True))
    bound = max(busy, key=lambda name: busy[name])
    return {
        "layer": layer,
        "pass": str(which),
        "kernel": kernel,
        "results": 100,
        "mismatches": 0,
        "useful_products": int(64_000 * utilization),
        "cycles": 1000,
        "model_cycles": 1000,
        "utilization": utilization,
        "shares": shares,
        "port_shares": list(ports),
        "bound": bound,
        "bound_share": busy[bound],
        "densities": [0.1, 0.25],
    }


ROWS = [
    row("conv", Pass.FORWARD, [3, 3], 0.9, (0.5, 0.2)),
    row("conv", Pass.INPUT_GRAD, [3, 3], 0.8, (0.5, 0.2)),
    row("conv", Pass.WEIGHT_GRAD, [3, 3], 0.4, (0.5, 0.2)),
    *(row("wide", which, [3, 3], 0.9, (0.5, 0.2)) for which in Pass),
    *(row("shortcut", which, [1, 1], 0.3, (0.5, 0.875)) for which in Pass),
]


def test_the_summary_leaves_the_1x1_layers_out():
    summary = traced.summary(ROWS)
    assert summary["least"] == 0.4
    assert summary["geometric_mean"] == pytest.approx((0.9**4 * 0.8 * 0.4) ** (1 / 6))


def test_a_pass_has_the_geometric_mean_and_the_least_of_its_layers():
    lines = traced.render_summary(ROWS).splitlines()
    table = [line for line in lines if line.startswith("| weight-grad")]
    cells = [cell.strip() for cell in table[0].strip("|").split("|")]
    assert cells[:6] == ["weight-grad", "2", "0", "2000", "60.0 %", "40.0 %"]
    assert len(cells) == 6 + len(STALLS)
    stalls = sum(float(cell.rstrip(" %")) for cell in cells[6:])
    assert stalls == pytest.approx(100 - 65, abs=0.5)


def test_a_1x1_layer_names_its_bound():
    text = traced.render_summary(ROWS)
    (line, *rest) = [line for line in text.splitlines() if line.startswith("| shortcut")]
    assert line.endswith("| 30.0 % | 50.0 % | 87.5 % | write port | 87.5 % |")
    assert len(rest) == 2
    assert "10.0 % x 25.0 %" in line


def test_the_document_has_every_layer_twice():
    text = traced.render(ROWS)
    assert sum(line.startswith("| conv |") for line in text.splitlines()) == 6


def test_the_comparison_sums_what_was_measured():
    rows = [
        {
            "config": config.to_dict(),
            "passes": [
                {"pass": str(which), "cycles": cycles, "useful_products": 256_000 + 1}
                for which, cycles in zip(Pass, (1000, 2000, 3000), strict=True)
            ],
        }
        for config in simulators.configurations()
    ]
    lines = simulators.render(rows).splitlines()
    assert (
        "| **GSCN, RTL, 32 ports of 512 bits** | **1000** | **2000** | **3000** | **6000** |"
        in lines
    )
    assert "| *every multiplier always busy* | 1001 | 1001 | 1001 | 3003 |" in lines
    for config in simulators.configurations():
        assert config.multipliers == simulators.MULTIPLIERS
