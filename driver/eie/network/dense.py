"""A layer of a float network, before compression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array
from eie.errors import LayerError
from eie.network.limits import check_name


@dataclass(frozen=True)
class Dense:
    """A fully connected layer of float weights, before compression: ``activation(weight @ x + bias)``.

    Parameters
    ----------
    weight : array_like, shape (R, C), float
        An array, nested sequences, a torch tensor or parameter, or a sparse matrix of scipy.
    bias : array_like, shape (R,), float, optional
    activation : {"relu", None}
    name : str, optional
        Shown in reports.

    Raises
    ------
    LayerError
        If shapes disagree, a value is not a finite real number, or the activation is not one of the two.
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32] | None = None
    activation: str | None = None
    name: str = ""

    def __init__(
        self, weight: ArrayLike, bias: ArrayLike | None = None, activation: str | None = None, name: str = ""
    ) -> None:
        check_name(name, "name of a layer")
        label = f"layer {name!r}" if name else "layer"
        weight = _float32(weight, f"{label}: weight")
        if weight.ndim != 2 or 0 in weight.shape:
            raise LayerError(f"{label}: weight has shape {weight.shape}; it must be (rows, columns), neither 0")
        if not np.isfinite(weight).all():
            raise LayerError(f"{label}: weight holds NaN or infinity")
        if bias is not None:
            bias = _float32(bias, f"{label}: bias")
            if bias.shape != weight.shape[:1]:
                raise LayerError(
                    f"{label}: bias has shape {bias.shape}; {weight.shape[0]} rows need ({weight.shape[0]},)"
                )
            if not np.isfinite(bias).all():
                raise LayerError(f"{label}: bias holds NaN or infinity")
        if activation is not None and activation != "relu":
            raise LayerError(f'{label}: activation {activation!r} is not supported; "relu" and None are')
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "bias", bias)
        object.__setattr__(self, "activation", activation)
        object.__setattr__(self, "name", name)

    def __repr__(self) -> str:
        rows, columns = self.weight.shape
        return f"<Dense {self.name!r}: {rows} x {columns}, {'ReLU' if self.activation else 'no activation'}>"


def _float32(value: ArrayLike, what: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinity, which is refused
        # In one order of memory: products of a transposed matrix may differ in the last bit, and models with it.
        return real_array(value, what, LayerError).astype(np.float32, order="C", copy=False)
