"""The methods with torch's other features."""

from __future__ import annotations

import ast
import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from gscn import golden

METHODS = ["swat", "resprop", "swat+resprop", "dst"]
each_method = pytest.mark.parametrize("method", METHODS)


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=2),
            nn.ReLU(),
            nn.Conv2d(8, 6, 3, stride=2),
            nn.Flatten(),
            nn.Linear(54, 5),
        )


def images(seed: int) -> torch.Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters()}


@each_method
def test_autocast_computes_in_half_the_width_and_keeps_masters(method):
    model = golden.sparsify(network(), method, **({} if method == "dst" else {"sparsity": 0.5}))
    exact = copy.deepcopy(model)
    seen = []
    model[3].gscn.observer = lambda record: seen.append((record.first.dtype, record.result.dtype))
    for seed in range(3):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = model(images(seed))
        assert outputs.dtype == torch.bfloat16
        outputs.float().square().sum().backward()
        exact(images(seed)).square().sum().backward()
    assert seen == [(torch.bfloat16, torch.bfloat16)] * 9
    # Sparse weights are those of the full-width masters.
    used = golden.sparsity_report(model)["3"].weights
    assert used == golden.sparsity_report(exact)["3"].weights
    for name, grad in gradients(model).items():
        assert grad.dtype == torch.float32, name
        expected = gradients(exact)[name]
        # That of the bias before the normalisation is zero but for rounding.
        assert (grad - expected).norm() < 0.2 * expected.norm() + 0.01, name


def test_autocast_with_double_precision_does_nothing():
    model = golden.sparsify(network().double(), "swat")
    expected = model.eval()(images(0).double())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(model(images(0).double()), expected)


@each_method
def test_a_model_of_half_width_trains(method):
    model = golden.sparsify(network(), method).bfloat16()
    for seed in range(4):
        model(images(seed).bfloat16()).sum().backward()
    assert all(grad.dtype == torch.bfloat16 for grad in gradients(model).values())
    if model[3].gscn.gradient_sparsifier is not None:
        assert model[3].gscn.gradient_sparsifier.threshold.dtype == torch.float64


@each_method
def test_gradients_accumulate_over_mini_batches(method):
    model = golden.sparsify(network(), method)
    other = copy.deepcopy(model)
    total = {name: torch.zeros_like(value) for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = golden.Schedule(model, optimizer, iterations_per_epoch=4)
    golden.begin_iteration(other, epoch=0, iteration=0, iterations_per_epoch=4)
    for seed in range(3):
        model(images(seed)).square().sum().backward()
        other.zero_grad()
        other(images(seed)).square().sum().backward()
        total = {name: total[name] + grad for name, grad in gradients(other).items()}
    for name, grad in gradients(model).items():
        torch.testing.assert_close(grad, total[name], msg=lambda text, name=name: name + text)
    assert schedule.iteration == 0
    optimizer.step()
    assert schedule.iteration == 1


@each_method
def test_channels_last_gives_the_same(method):
    model = golden.sparsify(network().double(), method)
    other = copy.deepcopy(model).to(memory_format=torch.channels_last)
    for seed in range(3):
        x = images(seed).double()
        expected = model(x)
        found = other(x.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(found, expected)
        expected.square().sum().backward()
        found.square().sum().backward()
        for name, grad in gradients(other).items():
            torch.testing.assert_close(grad, gradients(model)[name])
    assert other[0](x).is_contiguous(memory_format=torch.channels_last)


class Unrolled(nn.Module):
    """Calls layers one by one: `torch.compile` gives up the loop of `nn.Sequential` at a break."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        conv1, norm, relu, conv2, _, conv3, flatten, linear = self.layers
        hidden = relu(norm(conv1(inputs)))
        return linear(flatten(conv3(relu(conv2(hidden)))))


# Dynamo itself looks at the gradients of inputs that are no leaves.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@each_method
def test_compiled_models_leave_sparse_layers_as_they_are(method):
    torch.compiler.reset()
    model = golden.sparsify(Unrolled(network()), method)
    compiled = copy.deepcopy(model)
    nodes = set()

    def backend(graph: torch.fx.GraphModule, _) -> torch.fx.GraphModule:
        nodes.update(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    run = torch.compile(compiled, backend=backend)
    for seed in range(3):
        expected = model(images(seed))
        found = run(images(seed))
        assert torch.equal(found, expected)
        expected.sum().backward()
        found.sum().backward()
        for name, grad in gradients(compiled).items():
            assert torch.equal(grad, gradients(model)[name])
    assert any("batch_norm" in node for node in nodes)
    assert not any("conv" in node or "linear" in node for node in nodes)
    torch.compiler.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="sparsifiers keep state across itera"):
        torch.compile(compiled, backend=backend, fullgraph=True)(images(0))


def test_two_processes_train_as_each_alone_with_the_mean_gradient(tmp_path):
    script = Path(__file__).with_name("two_processes.py")
    workers = [
        subprocess.Popen(
            [sys.executable, str(script), ",".join(METHODS), str(rank), str(tmp_path)],
            cwd=Path(__file__).parents[3],
            env=os.environ | {"PYTHONPATH": ".", "GLOO_SOCKET_IFNAME": "lo"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(outputs)
    for method in METHODS:
        check_two_processes(method, tmp_path)


def check_two_processes(method: str, directory: Path) -> None:
    ranks = [torch.load(directory / f"{method}.rank{rank}.pt") for rank in range(2)]
    alone = torch.load(directory / f"{method}.alone.pt")
    for name, expected in alone["parameters"].items():
        for rank in ranks:
            torch.testing.assert_close(rank["parameters"][name], expected)
        assert torch.equal(ranks[0]["parameters"][name], ranks[1]["parameters"][name])
    # Each process has thresholds and gradients of its own mini-batches.
    for rank, state in zip(ranks, alone["states"], strict=True):
        assert rank["state"].keys() == state.keys()
        for name, value in state.items():
            torch.testing.assert_close(rank["state"][name], value)
    if method != "dst":
        assert any(not torch.equal(ranks[0]["state"][n], ranks[1]["state"][n]) for n in state)


def test_reuse_equals_the_direct_form_and_computes_the_shared_terms_apart():
    """With nothing dropped, `S + g` is the gradient itself, whatever was reused."""
    dense, model = network().double(), golden.sparsify(network().double(), "resprop", sparsity=0.5)
    records = []
    model[3].gscn.observer = records.append
    for seed in range(3):
        for layer in golden.methods.watching.sparse_layers(model).values():
            if layer.gscn.gradient_sparsifier is not None:
                layer.gscn.gradient_sparsifier.threshold.zero_()
        records.clear()
        for one in (dense, model):
            one.zero_grad()
            one(images(seed).double()).square().sum().backward()
        for name, grad in gradients(model).items():
            torch.testing.assert_close(grad, gradients(dense)[name], rtol=1e-12, atol=1e-12)
        _, input_grad, weight_grad = records
        assert (input_grad.precomputed is None) == (weight_grad.precomputed is None) == (seed == 0)
    assert input_grad.precomputed.shape == (1, 8, 8, 8)
    assert weight_grad.precomputed.shape == model[3].weight.shape
    total = weight_grad.result + weight_grad.precomputed
    torch.testing.assert_close(total, model[3].weight.grad)


def test_package_names_its_interface_without_importing_torch():
    code = (
        "import sys, golden; print('torch' in sys.modules, golden.SWAT(), 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("False SWAT(sparsity=0.8")
    assert found.stdout.strip().endswith("False")
    assert all(hasattr(golden, name) for name in golden.__all__)
    assert set(golden.__all__) <= set(dir(golden))
    with pytest.raises(AttributeError, match="has no attribute 'sparsifie'"):
        _ = golden.sparsifie


def test_the_example_of_the_documentation_runs(repository):
    text = (repository / "docs" / "guides" / "sparse-training.md").read_text(encoding="utf-8")
    (example,) = [
        block.partition("```")[0] for block in text.split("```python\n")[1:] if "assert" in block
    ]
    assert "golden.sparsify(" in ast.unparse(ast.parse(example))
    names: dict[str, object] = {}
    with torch.random.fork_rng():
        exec(compile(example, "sparse-training.md", "exec"), names)
    assert type(names["model"][0]) is nn.Conv2d
    assert list(names["report"]) == ["0", "3", "6"]
