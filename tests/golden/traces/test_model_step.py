"""A step of any model: what is recorded is what is computed, and the model is left as it was."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import gscn
from gscn import golden
from gscn.conv import Pass
from gscn.errors import InputError
from gscn.golden.methods.layers import TrainingLayer
from gscn.golden.traces.model_step import mean_squares

SEED = 5
pytestmark = pytest.mark.filterwarnings("ignore:layers were not called.* never$")


class Block(nn.Module):
    """Called twice, with a grouped convolution, dropout and normalisation."""

    def __init__(self):
        super().__init__()
        self.depthwise = nn.Conv2d(8, 8, 3, padding="same", groups=8)
        self.norm = nn.BatchNorm2d(8)
        self.mix = nn.Conv2d(8, 8, 1)
        self.drop = nn.Dropout(0.25)

    def forward(self, x):
        return x + self.drop(self.mix(functional.relu(self.norm(self.depthwise(x)))))


class Everything(nn.Module):
    """Layers of each kind; `way` says how the block is called again for its gradients."""

    def __init__(self, way="plain"):
        super().__init__()
        self.way = way
        self.stem = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.block = Block()
        self.up = nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1)
        self.line = nn.Conv1d(4, 6, 3, padding=1)
        self.tokens = nn.Linear(6, 5)
        self.head = nn.Linear(5, 3, bias=False)
        self.never = nn.Linear(2, 2)

    def again(self, x):
        if self.way == "plain":
            return self.block(x)
        return checkpoint(self.block, x, use_reentrant=self.way == "reentrant")

    def forward(self, x):
        y = self.again(self.again(self.stem(x)))
        y = functional.relu(self.up(y))
        y = functional.relu(self.line(y.flatten(2)))
        return {"scores": self.head(functional.relu(self.tokens(y.transpose(1, 2)))).mean(1)}


def everything(way="plain"):
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        return Everything(way), torch.randn(4, 3, 8, 8)


CALLS = (
    *("stem", "block.depthwise", "block.depthwise#2", "block.mix", "block.mix#2"),
    *("up", "line", "tokens", "head"),
)


def state_of(model):
    return {
        **{name: value.clone() for name, value in model.state_dict().items()},
        **{f"{name}.grad": p.grad for name, p in model.named_parameters()},
        **{f"{name}.mode": module.training for name, module in model.named_modules()},
    }


def operand(shape, which, one):
    """Compute a pass of operands by torch's autograd, in double precision."""
    first, second = (torch.from_numpy(x).double() for x in (one.first, one.second))
    inputs = torch.zeros(shape.x_shape).double() if which is Pass.INPUT_GRAD else second
    weights = torch.zeros(shape.w_shape).double() if which is Pass.WEIGHT_GRAD else first
    inputs.requires_grad_(), weights.requires_grad_()
    outputs = functional.conv2d(
        inputs, weights, None, shape.stride, shape.padding, shape.dilation, shape.groups
    )
    if which is Pass.FORWARD:
        return outputs.detach().numpy()
    grads = second if which is Pass.INPUT_GRAD else first
    wanted = inputs if which is Pass.INPUT_GRAD else weights
    return torch.autograd.grad(outputs, wanted, grads)[0].numpy()


@pytest.mark.parametrize("method", ["dense", "swat", "resprop", "swat+resprop", "dst"])
def test_every_call_of_every_layer_is_recorded_and_the_model_is_left_as_it_was(method, tmp_path):
    model, batch = everything()
    model.eval()
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before = state_of(model)
    options = {} if method in ("dense", "dst") else {"sparsity": 0.75}
    trace = gscn.trace(model, batch, tmp_path / "trace", method=method, **options)
    after = state_of(model)
    assert before.keys() == after.keys()
    assert all(
        torch.equal(before[k], after[k]) if torch.is_tensor(before[k]) else before[k] is after[k]
        for k in before
    )
    assert not any(isinstance(module, TrainingLayer) for module in model.modules())
    assert (trace.layers, trace.method) == (CALLS, method)
    assert (trace.network, trace.sparsity) == ("Everything", options.get("sparsity", 0))
    for name in CALLS:
        layer, entry = trace.load(name), trace.entry(name)
        assert entry.transposed == (name == "up")
        assert len(layer.passes) == (2 if name == "stem" else 3)
        for which, one in layer.passes.items():
            exact = operand(layer.shape, which, one)
            assert np.abs(one.result - exact).max() <= 1e-5 * np.abs(exact).max()
    assert [one.name for one in trace.omitted] == ["never"]
    assert trace.omitted[0].share == 0


@pytest.mark.parametrize("way", ["reentrant", "not reentrant"])
@pytest.mark.parametrize("method", ["dense", "swat+resprop"])
def test_a_checkpointed_model_has_the_trace_of_the_same_without(way, method, tmp_path):
    for one in ("plain", way):
        model, batch = everything(one)
        gscn.trace(model, batch, tmp_path / one, method=method, name="same")
    plain = sorted(path.name for path in (tmp_path / "plain").iterdir())
    assert plain == sorted(path.name for path in (tmp_path / way).iterdir())
    if method == "dense":
        for name in plain:
            assert (tmp_path / way / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_wrapped_and_compiled_models_have_the_trace_of_what_is_wrapped(tmp_path):
    model, batch = everything()
    gscn.trace(model, batch, tmp_path / "plain", method="swat")
    inside = copy.deepcopy(model)
    inside.block = torch.compile(inside.block, backend="eager")
    itself = copy.deepcopy(model)
    itself.compile(backend="eager")
    wrapped = {
        "data": nn.DataParallel(model),
        "compiled": torch.compile(model, backend="eager"),
        "itself": itself,
        "both": nn.DataParallel(torch.compile(model, backend="eager")),
        "inside": inside,
    }
    for name, one in wrapped.items():
        trace = gscn.trace(one, batch, tmp_path / name, method="swat")
        assert trace.network == "Everything"
        for path in (tmp_path / "plain").glob("*.npz"):
            other = path.name
            if name == "inside":
                other = other.replace("block.", "block._orig_mod.")
            assert (tmp_path / name / other).read_bytes() == path.read_bytes()


def test_equal_seeds_give_equal_bytes(tmp_path):
    model, batch = everything()
    state = torch.get_rng_state()
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        gscn.trace(model, batch, tmp_path / name, method="resprop", seed=seed)
    assert torch.equal(state, torch.get_rng_state())
    path = tmp_path / "one" / "block.mix.npz"
    assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    assert path.read_bytes() != (tmp_path / "other" / path.name).read_bytes()


def test_frozen_layers_have_no_weight_gradients_and_keep_their_modes(tmp_path):
    model, batch = everything()
    model.train()
    model.block.eval()
    for part in (model.stem, model.block):
        part.requires_grad_(False)
    trace = gscn.trace(model, batch, tmp_path / "trace")
    assert set(trace.entry("stem").densities) == set(trace.entry("block.mix").densities)
    assert set(trace.entry("block.mix").densities) == {Pass.FORWARD}
    # Of a transposed layer the forward pass is the input gradient of what it transposes.
    assert set(trace.entry("up").densities) == {Pass.INPUT_GRAD, Pass.WEIGHT_GRAD}
    first, second = (trace.load(f"block.mix{call}").get(Pass.FORWARD) for call in ("", "#2"))
    model.stem(batch)
    # In evaluation mode the block drops nothing and normalises by what it has stored.
    with torch.no_grad():
        inputs = model.block.norm(
            functional.conv2d(
                model.stem(batch),
                golden.sparsify(copy.deepcopy(model.block.depthwise), "dense").weight,
                model.block.depthwise.bias,
                padding=1,
                groups=8,
            )
        )
    assert first.second.shape == second.second.shape == tuple(inputs.shape)


def test_resprop_has_the_share_aimed_at_and_earlier_minibatches_may_be_given(tmp_path):
    model, batch = everything()
    trace = gscn.trace(model, batch, tmp_path / "own", method="resprop", sparsity=0.9)
    other = gscn.trace(
        model, batch, tmp_path / "given", method="resprop", sparsity=0.9, before=[2 * batch, -batch]
    )
    assert not trace.dense_iteration
    for one in (trace, other):
        kept, size = (
            sum(f(one.load(name).get(Pass.WEIGHT_GRAD).first) for name in CALLS[:5])
            for f in (np.count_nonzero, np.size)
        )
        # 5 points more than one minus the sparsity.
        assert 0.13 < kept / size <= 0.15
    assert trace.entries != other.entries


def test_a_sparsified_model_is_taken_as_it_is(tmp_path):
    model, batch = everything()
    golden.sparsify(model, "swat", sparsity=0.5, exclude="head")
    schedule = golden.Schedule(model, iterations_per_epoch=10)
    trace = gscn.trace(model, (batch,), tmp_path / "trace", layers=["line", "stem"])
    assert (trace.method, trace.sparsity, trace.layers) == ("swat", 0.5, ("stem", "line"))
    assert model.line.gscn.observer is None
    assert schedule.iteration == 0
    with pytest.raises(InputError, match="must not be given for a model that is sparsified"):
        gscn.trace(model, batch, tmp_path / "other", method="swat")


def test_loss_and_arguments_by_name_are_the_users(tmp_path):
    model, batch = everything()
    labels = torch.tensor([0, 1, 2, 0])
    trace = gscn.trace(
        model,
        {"x": batch},
        tmp_path / "trace",
        method="dense",
        loss=lambda outputs: functional.cross_entropy(outputs["scores"], labels),
        name="mine",
    )
    model.train()
    found = trace.load("head").get(Pass.WEIGHT_GRAD)
    assert trace.network == "mine"
    grad = torch.from_numpy(found.first)
    # Gradients of cross-entropy sum to zero over the classes.
    assert grad.sum(1).abs().max() < 1e-6 < grad.abs().max()


class Holder:
    def __init__(self, tensor):
        self.tensor = tensor


def test_mean_squares_looks_into_outputs():
    one, other = (torch.full((2,), value, requires_grad=True) for value in (1.0, 3.0))
    whole = torch.tensor([7])
    assert mean_squares((one, [whole, {"a": Holder(other)}])) == 1 + 9
    with pytest.raises(InputError, match=r"must return floating-point tensors .* not list"):
        mean_squares([whole])


class Split(nn.Module):
    """Parts on two devices; without a forward, since it is not to be called."""

    def __init__(self):
        super().__init__()
        self.near = nn.Linear(2, 2)
        self.far = nn.Linear(2, 2, device="meta")


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda _, b, out: gscn.trace(3, b, out), "model must be a torch.nn.Module, not int"),
        (
            lambda _, b, out: gscn.trace(Split(), b, out),
            r"on one device, with values, not near.weight on cpu, far.weight on meta",
        ),
        (
            lambda m, b, out: gscn.trace(m, b.to("meta"), out),
            "not stem.weight on cpu, the batch on meta",
        ),
        (
            lambda m, b, out: gscn.trace(m.to("meta"), b.to("meta"), out),
            "not stem.weight on meta",
        ),
        (lambda m, b, out: gscn.trace(m, b, out, method="swot"), "method must be one of"),
        (lambda m, b, out: gscn.trace(m, b, out, layers=["tail"]), "must be one of stem, .*'tail'"),
        (
            lambda m, b, out: gscn.trace(m, b, out, loss=lambda y: y["scores"]),
            r"not a tensor of shape \(4, 3\)",
        ),
        (lambda m, b, out: gscn.trace(m, b, out, loss=lambda _: 1.0), "one element .* not float"),
        (
            lambda m, b, out: gscn.trace(m.requires_grad_(False), b, out),
            "floating-point tensors that depend on its parameters",
        ),
        (
            lambda _, b, out: gscn.trace(
                nn.Sequential(nn.Conv3d(3, 2, 1)), b[..., None], out, method="dense"
            ),
            r"can be recorded, not only: 0 \(Conv3d\): 100.00 %",
        ),
    ],
)
def test_what_cannot_be_traced_is_named_and_nothing_is_left(call, complaint, tmp_path):
    model, batch = everything()
    with pytest.raises(InputError, match=complaint):
        call(model, batch, tmp_path / "trace")
    assert list(tmp_path.iterdir()) == []
    assert not any(isinstance(module, TrainingLayer) for module in model.modules())


def test_a_forward_that_fails_leaves_the_model_as_it_was(tmp_path):
    model, batch = everything()
    before = state_of(model)
    calls = []

    def fail(*_):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("third call")

    handle = model.tokens.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="third call"):
        gscn.trace(model, batch, tmp_path / "trace")
    handle.remove()
    assert all(
        torch.equal(value, after) if torch.is_tensor(value) else value is after
        for value, after in zip(before.values(), state_of(model).values(), strict=True)
    )
    assert list(tmp_path.iterdir()) == []


def test_names_are_files_whatever_characters_they_have(tmp_path):
    model = nn.Sequential()
    model.add_module("a b/c", nn.Linear(3, 2))
    trace = gscn.trace(model, torch.ones(2, 3), tmp_path / "trace", method="dense")
    assert [path.parent for path in tmp_path.rglob("*.npz")] == [tmp_path / "trace"]
    assert trace.load("a b/c").shape.k == 2
    assert json.loads((tmp_path / "trace" / "trace.json").read_text())["layers"][0]["file"]


def test_importing_the_package_imports_no_torch():
    program = "import sys, gscn; assert 'trace' in dir(gscn); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_the_example_of_the_documentation_runs(tmp_path, monkeypatch, capsys):
    text = (Path(__file__).parents[3] / "docs" / "contract" / "traces.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert capsys.readouterr().out == "('0', '3')\n"
    assert (tmp_path / "build" / "mine" / "trace.json").is_file()
