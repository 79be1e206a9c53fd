"""Networks of random weights, and what they compute in floating point."""

import numpy as np

from eie.contract.fixed_point import dequantise, quantise
from eie.network.model import Dense
from eie.network.reference import reference


def network(shapes, seed=0, bias=True):
    """Random layers of the usual variance, ReLU between them."""
    rng = np.random.default_rng(seed)
    return [
        Dense(
            rng.standard_normal((rows, columns)) * np.sqrt(2 / columns),
            rng.standard_normal(rows) * 0.1 if bias else None,
            "relu" if i < len(shapes) - 1 else None,
            f"fc{i}",
        )
        for i, (rows, columns) in enumerate(shapes)
    ]


def forward(layers, x, masks=None):
    """The float network, with only the weights that a model keeps."""
    x = x.astype(np.float64)
    for i, layer in enumerate(layers):
        weight = layer.weight if masks is None else layer.weight * masks[i]
        x = x @ weight.T.astype(np.float64) + (0 if layer.bias is None else layer.bias)
        x = np.maximum(x, 0) if layer.activation == "relu" else x
    return x


def run(model, x):
    return dequantise(reference(model, quantise(x, model.input_fraction_bits)), model.output_fraction_bits)


SHAPES = [(120, 200), (80, 120), (10, 80)]
X = np.random.default_rng(9).standard_normal((200, 200)).astype(np.float32)
