"""Budgets of SWAT: ERK against its formula, momentum against its rule, both against hand's work."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gscn import golden
from gscn.errors import InputError
from gscn.golden.methods.budgets import DENSE_SHARE, erk_densities, momentum_budgets

SHAPES = st.lists(st.lists(st.integers(1, 40), min_size=2, max_size=4).map(tuple), min_size=1)


@given(shapes=SHAPES, percent=st.integers(1, 100))
def test_erk_densities_follow_the_formula_and_reach_the_density(shapes, percent):
    density = Fraction(percent, 100)
    found = erk_densities(shapes, density)
    sizes = [math.prod(shape) for shape in shapes]
    total = sum(d * size for d, size in zip(found, sizes, strict=True))
    assert total == density * sum(sizes)
    # One eps for all that are not dense, and it would take the dense ones to 1 or beyond.
    raw = [Fraction(sum(shape), size) for shape, size in zip(shapes, sizes, strict=True)]
    scales = {d / r for d, r in zip(found, raw, strict=True) if d < 1}
    assert len(scales) <= 1
    for scale in scales:
        assert all(scale * r >= 1 for d, r in zip(found, raw, strict=True) if d == 1)
    assert all(0 < d <= 1 for d in found)


def test_erk_by_hand():
    # Sums 4 and 14 of sizes 4 and 48: at one half of 52, eps = 26 / 18 takes the first to 1.44.
    assert erk_densities([(2, 2), (6, 8)], Fraction(1, 2)) == [1, Fraction(22, 48)]
    assert erk_densities([(4, 4), (8, 8)], Fraction(1, 4)) == [
        Fraction(20 * 8, 24 * 16),
        Fraction(20 * 16, 24 * 64),
    ]


LAYERS = st.lists(
    st.tuples(st.integers(1, 500), st.sampled_from([0.0, 1e-9, 0.5, 1.0, 3.0, 40.0])), min_size=1
)


@given(layers=LAYERS, share=st.floats(0, 1))
def test_momentum_budgets_add_up_and_are_in_proportion(layers, share):
    sizes, momenta = zip(*layers, strict=True)
    total = max(len(sizes), math.ceil(share * sum(sizes)))
    found = momentum_budgets(sizes, momenta, total)
    if not any(momenta):
        assert found is None
        return
    assert sum(found) == total
    assert all(1 <= kept <= size for kept, size in zip(found, sizes, strict=True))
    # Layers that are neither dense nor at the minimum differ by what their momenta give them, and
    # have one share of the overflow each, within the rounding and what the minimum takes.
    slack = 2 + 2 * sum(kept == 1 for kept in found)
    middle = [
        kept - total * m / sum(momenta)
        for kept, size, m in zip(found, sizes, momenta, strict=True)
        if 1 < kept < size
    ]
    assert not middle or max(middle) - min(middle) <= slack


def shared_out(sizes, momenta, total: int) -> list[float]:
    """Return the weights of each layer as the authors share the overflow: evenly, in rounds.

    Every layer, the full ones included, gets the same part of what was too much for the full ones
    in the round before.
    """
    kept = [total * m / sum(momenta) for m in momenta]
    for _ in range(10_000):
        full = [index for index, size in enumerate(sizes) if kept[index] > 0.99 * size]
        overflow = sum(kept[index] - sizes[index] for index in full)
        for index in full:
            kept[index] = sizes[index]
        if overflow < 1e-6:
            break
        kept = [one + overflow / len(sizes) for one in kept]
    return [min(one, size) for one, size in zip(kept, sizes, strict=True)]


@given(layers=LAYERS, share=st.floats(0.05, 0.95))
def test_overflow_is_shared_as_by_the_authors(layers, share):
    sizes, momenta = zip(*((1000 + 100 * size, m) for size, m in layers), strict=True)
    if not any(momenta):
        return
    total = math.ceil(share * sum(sizes))
    found = momentum_budgets(sizes, momenta, total)
    expected = shared_out(sizes, momenta, total)
    # They let a layer over 99 % become full beyond the total, which ours keeps to.
    beyond = max(0.0, sum(expected) - total)
    for kept, other in zip(found, expected, strict=True):
        assert abs(kept - other) <= 2 + beyond + 0.01 * max(sizes)


def test_momentum_by_hand():
    assert momentum_budgets([100, 100], [1.0, 3.0], 40) == [10, 30]
    assert momentum_budgets([100, 100, 100], [1.0, 2.0, 3.0], 61) == [10, 20, 31]
    # 30 of 10 weights: dense, and the 20 left over go to the others, 10 to each.
    assert momentum_budgets([10, 100, 100], [6.0, 1.0, 3.0], 50) == [10, 15, 25]
    # 60, 30, 10: what is over 20 goes to the others, 20 to each; 50 of 40 is over, the last has it.
    assert momentum_budgets([20, 40, 100], [6.0, 3.0, 1.0], 100) == [20, 40, 40]
    # 199 of 200 is over 99 %, 198 is not.
    assert momentum_budgets([200, 400], [199.0, 1.0], 200) == [199, 1]
    assert momentum_budgets([200, 400], [199.0, 101.0], 300) == [200, 100]
    assert momentum_budgets([200, 400], [198.0, 102.0], 300) == [198, 102]
    # Only the first has momentum; what it cannot take is shared evenly.
    assert momentum_budgets([10, 40, 80], [1.0, 0.0, 0.0], 70) == [10, 30, 30]
    assert momentum_budgets([5, 5], [0.0, 0.0], 5) is None
    assert Fraction(99, 100) == DENSE_SHARE


def test_bad_momentum_and_total_are_named():
    with pytest.raises(
        InputError, match=r"layer 1 must be .* finite, not nan; total must be from 2"
    ):
        momentum_budgets([3, 3], [1.0, math.nan], 1)


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, bias=False),
            nn.ReLU(),
            nn.Conv2d(8, 4, 3),
            nn.Flatten(),
            nn.Linear(16, 5),
        ).double()


def batches(count: int):
    generator = torch.Generator().manual_seed(5)
    for _ in range(count):
        yield torch.randn(4, 3, 6, 6, dtype=torch.float64, generator=generator)


def kept_weights(model: nn.Module) -> dict[str, int]:
    return {
        name: round(layer.weights * layer.weight_count)
        for name, layer in golden.sparsity_report(model).items()
    }


def test_a_model_reaches_the_sparsity_of_each_budget():
    sizes = {"0": 216, "2": 288, "4": 80}
    expected = {
        # ceil(0.2 n); by the paper the first layer is dense.
        "uniform": {"0": 216, "2": 58, "4": 16},
        # eps (26-point sums 17, 18, 21): 0.2 * 584 / (17 + 18 + 21) weights per point of the sum.
        "erk": {name: math.ceil(116.8 * s / 56) for name, s in {"0": 17, "2": 18, "4": 21}.items()},
    }
    for budget, counts in expected.items():
        model = golden.sparsify(network(), "swat", sparsity=0.8, budget=budget)
        for x in batches(1):
            model(x).sum().backward()
        assert kept_weights(model) == counts, budget
        assert {n: r.weight_count for n, r in golden.sparsity_report(model).items()} == sizes


def test_momentum_moves_the_budget_after_each_step():
    model = golden.sparsify(network(), "swat", sparsity=0.8, budget="momentum", refresh_period=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    schedule = golden.Schedule(model, optimizer, iterations_per_epoch=10)
    layers = {name: model.get_submodule(name) for name in ("0", "2", "4")}
    expected = {name: math.ceil(0.2 * layer.weight.numel()) for name, layer in layers.items()}
    seen = []
    for x in batches(6):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        assert kept_weights(model) == expected
        used = {
            name: layer.weight.detach().abs() >= layer.gscn.operand_sparsifier.weight_threshold
            for name, layer in layers.items()
        }
        optimizer.step()
        means = []
        for name, layer in layers.items():
            momentum = optimizer.state[layer.weight]["momentum_buffer"]
            means.append(momentum[used[name]].abs().mean().item())
            assert layer.gscn.operand_sparsifier.momentum == pytest.approx(means[-1], rel=1e-12)
        counts = momentum_budgets([layer.weight.numel() for layer in layers.values()], means, 117)
        expected = dict(zip(layers, counts, strict=True))
        assert sum(counts) == math.ceil(0.2 * 584)
        seen.append(tuple(counts))
    assert len(set(seen)) > 1
    assert schedule.iteration == 6
    # Activations are as dense as the weights, by the new share from the next step on.
    for x in batches(1):
        model(x).sum().backward()
    density = golden.sparsity_report(model)["0"].activations
    assert density == math.ceil(Fraction(expected["0"], 216) * 432) / 432


def momentum_model(**options) -> nn.Sequential:
    return golden.sparsify(
        network(), "swat", sparsity=0.8, budget="momentum", refresh_period=1, **options
    )


def densities(model: nn.Module) -> dict[str, Fraction]:
    return {
        name: model.get_submodule(name).gscn.operand_sparsifier.density for name in ("0", "2", "4")
    }


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam])
def test_momentum_of_adam_is_in_proportion_to_its_second_moment(kind):
    model = momentum_model()
    optimizer = kind(model.parameters(), lr=1e-3)
    golden.Schedule(model, optimizer, iterations_per_epoch=10)
    for x in batches(4):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        used = {n: model.get_submodule(n).gscn.operand_sparsifier.active for n in ("0", "2", "4")}
        optimizer.step()
        means = []
        for name, active in used.items():
            state = optimizer.state[model.get_submodule(name).weight]
            ratio = state["exp_avg"].abs() / (state["exp_avg_sq"] ** 0.5 + 1e-8)
            means.append(ratio[active].mean().item())
        counts = momentum_budgets([216, 288, 80], means, 117)
        sizes = {"0": 216, "2": 288, "4": 80}
        expected = [Fraction(c, n) for c, n in zip(counts, sizes.values(), strict=True)]
        assert list(densities(model).values()) == expected


def test_frozen_and_unused_layers_keep_their_budget_and_the_others_share_the_rest():
    model = momentum_model()
    model[2].weight.requires_grad_(False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    golden.Schedule(model, optimizer, iterations_per_epoch=10)
    for x in batches(3):
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()
        found = densities(model)
        assert found["2"] == Fraction(1, 5)
        assert 216 * found["0"] + 80 * found["4"] == 117 - 58
    assert found["0"] != Fraction(1, 5)
    # Its momentum stays in the optimiser, as that of a weight that no step changes.
    model[0].weight.requires_grad_(False)
    kept = found
    for x in batches(2):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.state[model[0].weight]["momentum_buffer"] *= 100
        optimizer.step()
        found = densities(model)
    assert found == kept
    model[4].weight.requires_grad_(False)
    golden.update_budgets(model, optimizer)
    assert densities(model) == found


def test_methods_that_need_a_schedule_say_so_at_the_first_gradients():
    for method, options in (("swat", {"budget": "momentum"}), ("resprop", {"warm_up": True})):
        for remedy in ("none", "schedule", "begin"):
            model = golden.sparsify(network(), method, **options)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
            if remedy == "schedule":
                golden.Schedule(model, optimizer, iterations_per_epoch=3)
            elif remedy == "begin":
                golden.begin_iteration(model, epoch=0, iteration=0, iterations_per_epoch=3)
            (x,) = batches(1)
            loss = model(x).sum()
            if remedy == "none":
                with pytest.raises(InputError, match=r"layer [24]: its method .*golden\.Schedule"):
                    loss.backward()
            else:
                loss.backward()
            model.eval()(x).sum().backward()


def test_momentum_that_the_optimiser_does_not_keep_is_named():
    model = golden.sparsify(network(), "swat", budget="momentum")
    with pytest.raises(InputError, match="optimizer must be given"):
        golden.Schedule(model, iterations_per_epoch=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    golden.Schedule(model, optimizer, iterations_per_epoch=2)
    for x in batches(1):
        model(x).sum().backward()
    with pytest.raises(InputError, match=r"layer 0: .*momentum_buffer.*layer 2: .*layer 4: "):
        optimizer.step()
    golden.update_budgets(golden.sparsify(network(), "dst"), optimizer)
