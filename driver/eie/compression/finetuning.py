"""Fine-tuning of a compressed network inside any torch module, by whatever loop trains it. Extra "train": PyTorch.

    model = eie.compress(linear_layers(module), 0.05, calibration=x)
    with masked_weights(module, model):
        train(module)                          # a few epochs: your loop, loss and optimiser, made inside the block
    model = eie.compress(linear_layers(module), 1.0, calibration=x, row_scales=False)     # all weights that are left
    with shared_weights(module, model):
        train(module)
    model = eie.compress(linear_layers(module), None, calibration=x)

A module that is more than a chain of Linear layers is compressed as it is, `eie.compress(module, 0.05, calibration=x)`.
What is pruned stays pruned in both blocks. In the first, the weights that stay learn; in the second, those that share a
value go on sharing it, and only the values and the biases learn. Either may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.compression.student import shared_values, torch
from eie.errors import NetworkError
from eie.network.graph_model import GraphModel
from eie.network.model import Dense, Layer, Model

_CONVOLUTIONS = (torch.nn.Conv1d, torch.nn.Conv2d)


def linear_layers(module: torch.nn.Module, last_activation: str | None = None) -> list[Dense]:
    """Return the module's Linear layers, in the order in which it holds them, ReLU between them.

    Parameters
    ----------
    module : torch.nn.Module
        Computes its Linear layers one after another with a ReLU between them; what else it holds must change nothing,
        such as Flatten, or Dropout in evaluation.
    last_activation : {"relu", None}
    """
    found = _weighted(module, (torch.nn.Linear,))
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
def masked_weights(module: torch.nn.Module, model: Model | GraphModel) -> Iterator[None]:
    """Give a module the weights of its compressed model, and let those that are not pruned be trained freely.

    Parameters, errors and what holds of optimisers are those of `shared_weights`; layers of two terms will do as well.
    """
    with _held(module, model, _Mask):
        yield


@contextmanager
def shared_weights(module: torch.nn.Module, model: Model | GraphModel) -> Iterator[None]:
    """Give a module the weights of its compressed model, and let them be trained within their mask and their sharing.

    An optimiser must be made inside the block, of ``module.parameters()``, for these are others there. Afterwards the
    weights are plain parameters again, at most 15 distinct values a layer and the zeros where they were.

    Parameters
    ----------
    module : torch.nn.Module
        Holds the Linear, Conv1d and Conv2d layers of the model, in its order, with a bias each (others may go without
        if theirs is 0).
    model : Model or GraphModel

    Raises
    ------
    NetworkError
        If the layers are not those of the model, have two terms or row scales, or a convolution has groups.
    """
    double = [layer.name for layer in model.layers if layer.second is not None]
    if double:
        raise NetworkError(f"layer {double[0]!r} has two terms; only layers of one can be fine-tuned: use terms=1")
    scaled = [layer.name for layer in model.layers if layer.scaling is not None]
    if scaled:
        raise NetworkError(
            f"layer {scaled[0]!r} has row scales, with which its rows share no values: compress with row_scales=False"
        )
    with _held(module, model, _Sharing):
        yield


@contextmanager
def _held(module: torch.nn.Module, model: Model | GraphModel, kind: Callable[..., torch.nn.Module]) -> Iterator[None]:
    """Hold a module's weights to what `kind` makes of them."""
    found, units = _weighted(module, (torch.nn.Linear, *_CONVOLUTIONS)), _units(model)
    grouped = [name for name, layer in found if getattr(layer, "groups", 1) > 1]
    if grouped:
        raise NetworkError(f"convolution {grouped[0]!r} has groups; only those without are trained within a sharing")
    shapes = [(len(layer.weight), layer.weight[0].numel()) for _, layer in found]
    wanted = [(layer.rows, layer.columns) for layer in model.layers]
    if shapes != wanted:
        raise NetworkError(f"the module has layers of shapes {shapes}, the model has {wanted}; they must agree")
    for (name, held), layer in zip(found, model.layers, strict=True):
        _check_bias(name, held, layer)
    for (_, held), layer, unit in zip(found, model.layers, units, strict=True):
        if held.bias is not None:
            with torch.no_grad():
                held.bias.copy_(torch.as_tensor(np.asarray(layer.to_dense().bias) * unit))
        torch.nn.utils.parametrize.register_parametrization(held, "weight", kind(layer, held.weight, unit), unsafe=True)
    try:
        yield
    finally:
        for _, held in found:
            torch.nn.utils.parametrize.remove_parametrizations(held, "weight", leave_parametrized=True)


def _units(model: Model | GraphModel) -> list[NDArray[np.float64]]:
    """Return what the host multiplies the rows of each layer by; see `eie.compression.row_units`."""
    if isinstance(model, Model):
        return [np.ones(layer.rows) for layer in model.layers]
    found = []
    for product in model.array_products():
        for layer in product.model.layers:
            scales = product.output_scales
            if scales is None or len(scales) != layer.rows:
                scales = np.full(layer.rows, 2.0**-layer.output_fraction_bits)
            found.append(np.ldexp(scales, layer.output_fraction_bits))
    return found


def _weighted(module: torch.nn.Module, kinds: tuple[type, ...]) -> list[tuple[str, Any]]:
    """Return a module's layers of some kinds, in the order in which it holds them."""
    found = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, kinds)]
    if not found:
        names = " or ".join(kind.__name__ for kind in kinds)
        raise NetworkError(f"a {type(module).__name__} without {names} layers has nothing to compress")
    return found


def _check_bias(name: str, held: Any, layer: Layer) -> None:
    if held.bias is None and np.any(layer.to_dense().bias):
        raise NetworkError(f"layer {name!r} has no bias, its compressed layer has: compensation needs one; add it")


class _Mask(torch.nn.Module):
    """Makes a weight of one that is 0 where it was pruned."""

    mask: torch.Tensor

    def __init__(self, layer: Layer, weight: torch.Tensor, units: NDArray[np.float64]) -> None:
        super().__init__()
        self.initial = torch.as_tensor(layer.dense_weights() * units[:, None]).to(weight).view_as(weight)
        kept = np.zeros((layer.rows, layer.columns), bool)
        for term in layer.terms:
            kept[term.row_indices, term.column_indices()] = True
        self.register_buffer("mask", torch.as_tensor(kept, device=weight.device).view_as(weight))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight * self.mask

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        return self.initial.clone()


class _Sharing(torch.nn.Module):
    """Makes a weight of shared values and codes."""

    codes: torch.Tensor
    units: torch.Tensor

    def __init__(self, layer: Layer, weight: torch.Tensor, units: NDArray[np.float64]) -> None:
        super().__init__()
        codes = layer.dense_codes().astype(np.int64)
        self.register_buffer("codes", torch.as_tensor(codes, device=weight.device).view_as(weight))
        self.register_buffer("units", torch.as_tensor(units).to(weight).view(-1, *[1] * (weight.ndim - 1)))
        values = np.ldexp(layer.codebook.astype(np.float64), -layer.weight_fraction_bits)
        self.initial = torch.as_tensor(values).to(weight)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return shared_values(values, self.codes) * self.units

    def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
        return self.initial.clone()
