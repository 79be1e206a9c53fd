"""Random PyTorch modules, exported in every way, compute here what they compute there, on the array as in integers."""

import io
import warnings

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.network.evaluation import evaluate
from eie.network.graph_readers import read_graph

torch = pytest.importorskip("torch")
nn = torch.nn
ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Hardswish, nn.Hardsigmoid, nn.GELU, nn.ReLU6, nn.Identity)


class Residual(nn.Module):
    """Adds what goes around."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return x + self.part(x)


class View(nn.Module):
    """Flattens as people write it."""

    def forward(self, x):
        return x.view(x.size(0), -1)


@st.composite
def pictures(draw):
    """Return a module on pictures that ends in fully connected layers, and the shape of its input."""
    channels, size = draw(st.integers(1, 4)), draw(st.sampled_from([7, 8, 10]))
    shape, parts = (channels, size, size), []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "depthwise", "norm", "pool", "residual", "activation"]))
        if kind == "conv":
            outputs, kernel = draw(st.integers(1, 6)), draw(st.sampled_from([1, 3, (3, 1)]))
            parts.append(nn.Conv2d(channels, outputs, kernel, draw(st.integers(1, 2)), 1, bias=draw(st.booleans())))
            channels = outputs
        elif kind == "depthwise":
            parts.append(nn.Conv2d(channels, 2 * channels, 3, 1, 1, groups=channels))
            channels *= 2
        elif kind == "norm":
            norm = nn.BatchNorm2d(channels)
            nn.init.uniform_(norm.running_mean, -1, 1)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 2)
            parts.append(norm)
        elif kind == "pool":
            parts.append(draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))(2, 1))
        elif kind == "residual":
            parts.append(Residual(nn.Conv2d(channels, channels, 3, 1, 1)))
        else:
            parts.append(draw(st.sampled_from(ACTIVATIONS))())
    parts += [draw(st.sampled_from([nn.Flatten, View]))(), nn.LazyLinear(draw(st.integers(1, 5)))]
    if draw(st.booleans()):
        parts.append(nn.Softmax(dim=1))
    return nn.Sequential(*parts), shape


@st.composite
def sequences(draw):
    """Return a recurrent module, and the shape of its input."""

    class Last(nn.Module):
        def __init__(self, kind, columns, hidden, directions, layers):
            super().__init__()
            self.cell = kind(columns, hidden, layers, batch_first=True, bidirectional=directions == 2)
            self.head = nn.Linear(hidden * directions, 3)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    columns, hidden = draw(st.integers(1, 6)), draw(st.integers(1, 7))
    kind = draw(st.sampled_from([nn.LSTM, nn.GRU, nn.RNN]))
    return Last(kind, columns, hidden, draw(st.integers(1, 2)), draw(st.integers(1, 2))), (
        draw(st.integers(1, 5)),
        columns,
    )


def exported(module, x, dynamo, dynamic):
    file = io.BytesIO()
    axes = {"dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}}} if dynamic and not dynamo else {}
    if dynamic and dynamo:
        axes = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (x,), file, input_names=["input"], output_names=["output"], dynamo=dynamo, verbose=False, **axes
        )
    return onnx.load_from_string(file.getvalue())


@pytest.mark.parametrize("dynamo", [False, True], ids=["script", "dynamo"])
@pytest.mark.parametrize("examples", [4, pytest.param(100, marks=pytest.mark.full)])
def test_exports_are_read_as_torch_computes_them(examples, dynamo):
    if dynamo:
        pytest.importorskip("onnxscript")

    @settings(max_examples=examples)
    @given(st.one_of(pictures(), sequences()), st.booleans(), st.integers(0, 2**31))
    def check(case, dynamic, seed):
        module, shape = case
        torch.manual_seed(seed)
        x = torch.randn(4, *shape)
        module.eval()
        with torch.no_grad():
            want = module(x).numpy()
        network = exported(module, x, dynamo, dynamic)
        (got,) = evaluate(read_graph(network), {"input": x.numpy()}).values()
        np.testing.assert_allclose(got, want, atol=1e-4 * max(1.0, float(np.abs(want).max())))
        model = eie.compress(network, 1.0, x.numpy(), method="magnitude", terms=2)
        with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
            y = accelerator.run(x.numpy(), model=model, verify=True)
        error = float(np.abs(y - want).max())
        assert error < 0.1 * max(1.0, float(np.abs(want).max())), "further off than two terms of shared values"

    check()
