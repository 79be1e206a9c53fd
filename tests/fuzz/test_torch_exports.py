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


class Indexed(nn.Module):
    """Takes, puts and sorts elements as people write it."""

    KINDS = ("gather", "scatter", "topk", "tril", "einsum", "masked", "index_put", "attention", "cumsum", "flip")

    def __init__(self, kind, columns):
        super().__init__()
        self.kind = kind
        self.register_buffer("at", torch.randperm(columns))
        self.weight = nn.Parameter(torch.randn(columns, columns))

    def forward(self, x):  # (batch, channels, rows, columns)
        if self.kind == "gather":
            return torch.gather(x, 3, self.at.expand(x.shape[0], x.shape[1], x.shape[2], -1))
        if self.kind == "scatter":
            return torch.zeros_like(x).scatter(3, self.at.expand(x.shape[0], x.shape[1], x.shape[2], -1), x)
        if self.kind == "topk":
            return x.topk(2, dim=-1).values.sum(-1, keepdim=True) + x
        if self.kind == "tril":
            return torch.tril(x, 1) - torch.triu(x)
        if self.kind == "einsum":
            return torch.einsum("bchw,wv->bchv", x, self.weight)
        if self.kind == "masked":
            return x.masked_fill(x > 0.5, 0.5)
        if self.kind == "index_put":
            y = x.clone()
            y[:, :, :, self.at[:2]] = 2 * x[:, :, :, :2]
            return y
        if self.kind == "attention":
            causal = torch.ones(x.shape[2], x.shape[2], dtype=torch.bool).tril()
            return nn.functional.scaled_dot_product_attention(x, x @ self.weight, x, attn_mask=causal)
        return x.cumsum(2) if self.kind == "cumsum" else torch.flip(x, (3,))


class Resized(nn.Module):
    """Resizes to 5 x 4, whatever the size was, and indexes."""

    def __init__(self, kind):
        super().__init__()
        self.resize, self.indexed = nn.Upsample(size=(5, 4), mode="bilinear"), Indexed(kind, 4)

    def forward(self, x):
        return self.indexed(self.resize(x))


class Gated(nn.Module):
    """Multiplies by what a part makes of it, as squeeze and excitation does."""

    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        return x * self.part(x)


@st.composite
def pictures(draw):
    """Return a module on pictures that ends in fully connected layers, and the shape of its input."""
    channels, size = draw(st.integers(1, 4)), draw(st.sampled_from([7, 8, 10]))
    shape, parts, kinds = (channels, size, size), [], ["norm", "pool", "residual", "activation", "resize", "transposed"]
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["conv", "conv", "depthwise", "indexed", "group norm", "attended", *kinds]))
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
        elif kind == "resize":
            mode = draw(st.sampled_from(["nearest", "bilinear", "bicubic"]))
            corners = {} if mode == "nearest" else {"align_corners": draw(st.booleans())}
            parts.append(nn.Upsample(scale_factor=draw(st.sampled_from([2, 1.5])), mode=mode, **corners))
        elif kind == "transposed":
            outputs = draw(st.integers(1, 3))
            parts.append(nn.ConvTranspose2d(channels, outputs, 3, 2, 1, draw(st.integers(0, 1))))
            channels = outputs
        elif kind == "indexed":
            parts.append(Resized(draw(st.sampled_from(Indexed.KINDS))))
        elif kind == "group norm":
            parts.append(draw(st.sampled_from([nn.GroupNorm(1, channels), nn.InstanceNorm2d(channels, affine=True)])))
        elif kind == "attended":
            gate = (nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, channels, 1), nn.Hardsigmoid())
            parts.append(Gated(nn.Sequential(*gate)))
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
        network = exported(module, x if dynamic else x[:1], dynamo, dynamic)  # of a static batch of 1 any is taken
        (got,) = evaluate(read_graph(network), {"input": x.numpy()}).values()
        np.testing.assert_allclose(got, want, atol=1e-4 * max(1.0, float(np.abs(want).max())))
        model = eie.compress(network, 1.0, x.numpy(), method="magnitude", terms=2)
        with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
            y = accelerator.run(x.numpy(), model=model, verify=True)
        error = float(np.abs(y - want).max())
        assert error < 0.1 * max(1.0, float(np.abs(want).max())), "further off than two terms of shared values"

    check()
