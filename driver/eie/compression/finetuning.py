"""Fine-tuning of a compressed network inside any torch module, by whatever loop trains it. Extra "train": PyTorch.

    model = eie.compress(linear_layers(module), 0.05, calibration=x)
    with shared_weights(module, model):
        train(module)                          # a few epochs: your loop, loss and optimiser, made inside the block
    model = eie.compress(linear_layers(module), None, calibration=x)

What is pruned stays pruned, and weights that share a value go on sharing it: only the values and the biases learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from eie.compression.training import shared_values, torch
from eie.errors import NetworkError
from eie.network.model import Dense, Layer, Model


def linear_layers(module: torch.nn.Module, last_activation: str | None = None) -> list[Dense]:
    """Return the module's Linear layers, in the order in which it holds them, ReLU between them.

    Parameters
    ----------
    module : torch.nn.Module
        Computes its Linear layers one after another with a ReLU between them; what else it holds must change nothing,
        such as Flatten, or Dropout in evaluation.
    last_activation : {"relu", None}
    """
    found = _linears(module)
    return [
        Dense(
            layer.weight.detach().cpu().numpy(),
            None if layer.bias is None else layer.bias.detach().cpu().numpy(),
            last_activation if i == len(found) - 1 else "relu",
            name,
        )
        for i, (name, layer) in enumerate(found)
    ]


@contextmanager
def shared_weights(module: torch.nn.Module, model: Model) -> Iterator[None]:
    """Give a module the weights of its compressed model, and let them be trained within their mask and their sharing.

    An optimiser must be made inside the block, of ``module.parameters()``, for these are others there. Afterwards the
    weights are plain parameters again, at most 15 distinct values a layer and the zeros where they were.

    Parameters
    ----------
    module : torch.nn.Module
        Holds the Linear layers of the model, in its order, with a bias each (others may go without if theirs is 0).
    model : Model

    Raises
    ------
    NetworkError
        If the Linear layers are not those of the model.
    """
    found = _linears(module)
    shapes = [tuple(layer.weight.shape) for _, layer in found]
    wanted = [(layer.rows, layer.columns) for layer in model.layers]
    if shapes != wanted:
        raise NetworkError(f"the module has Linear layers of shapes {shapes}, the model has {wanted}; they must agree")
    for (name, linear), layer in zip(found, model.layers, strict=True):
        _hold(name, linear, layer)
    try:
        yield
    finally:
        for _, linear in found:
            torch.nn.utils.parametrize.remove_parametrizations(linear, "weight", leave_parametrized=True)


def _linears(module: torch.nn.Module) -> list[tuple[str, torch.nn.Linear]]:
    found = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, torch.nn.Linear)]
    if not found:
        raise NetworkError(f"a {type(module).__name__} without Linear layers has nothing to compress")
    return found


def _hold(name: str, linear: torch.nn.Linear, layer: Layer) -> None:
    """Put a compressed layer's values, codes and biases in the place of a Linear's weight and bias."""
    dense = layer.to_dense()
    if linear.bias is None and np.any(dense.bias):
        raise NetworkError(f"Linear {name!r} has no bias, its compressed layer has: compensation needs one; add it")
    codes = torch.as_tensor(layer.dense_codes().astype(np.int64), device=linear.weight.device)
    values = np.ldexp(layer.codebook.astype(np.float64), -layer.weight_fraction_bits)
    with torch.no_grad():
        if linear.bias is not None:
            linear.bias.copy_(torch.as_tensor(dense.bias))
    torch.nn.utils.parametrize.register_parametrization(
        linear, "weight", _Sharing(codes, torch.as_tensor(values).to(linear.weight)), unsafe=True
    )


class _Sharing(torch.nn.Module):
    """Makes a weight of shared values and codes."""

    codes: torch.Tensor

    def __init__(self, codes: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.initial = values

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return shared_values(values, self.codes)

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        return self.initial.clone()
