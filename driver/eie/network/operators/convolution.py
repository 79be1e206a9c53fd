"""Conv and ConvTranspose: small matrices at many places of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from eie.errors import NetworkError
from eie.network.operators.linear import Linear, Matrix, Product, enter, evaluate_as_products
from eie.network.operators.table import Array, Shape
from eie.network.operators.windows import Geometry, Ints, window

_BLOCK = 1 << 24
"""Most elements of the vectors that are made together: 64 MB of float32."""


def _conv_weights(inputs: list[Any], attributes: dict[str, Any]) -> tuple[int, ...] | None:
    if inputs[0] is not None or inputs[1] is None:
        return None
    return (1, 2) if len(inputs) > 2 and inputs[2] is not None else (1,)


def _conv_prepare(inputs: list[Any], attributes: dict[str, Any]) -> dict[str, Any]:
    given, found = attributes["kernel_shape"], list(inputs[1].shape[2:])
    if given is not None and list(given) != found:
        raise NetworkError(f"kernel_shape {given} differs from the weight's {found}")
    return {**attributes, "kernel_shape": found}


def _blocks(w: Array, groups: int, bias: Array | None) -> list[Matrix]:
    """Return the matrix of a convolution: (Cout, Cin / groups, *kernel) -> (Cout, Cin * taps), blocks for groups."""
    outputs, inputs = w.shape[0], w.shape[1]
    flat = w.reshape(outputs, -1)
    if groups == 1:
        return [Matrix(flat, bias)]
    if outputs % groups:
        raise NetworkError(f"{outputs} output channels do not divide into {groups} groups")
    taps = flat.shape[1] // inputs
    weight = np.zeros((groups, outputs // groups, groups, inputs * taps), w.dtype)
    each = np.arange(groups)
    weight[each, :, each, :] = flat.reshape(groups, outputs // groups, -1)
    shape = (outputs, groups * inputs * taps)
    return [Matrix(weight.reshape(shape), bias, groups)]


def _conv_matrices(inputs: list[Any], attributes: dict[str, Any]) -> list[Matrix]:
    bias = inputs[2] if len(inputs) > 2 else None
    return _blocks(inputs[1], attributes["group"], bias)


def conv_geometry(x: Array, attributes: dict[str, Any]) -> Geometry:
    names = ("strides", "dilations", "pads", "auto_pad")
    return window(x.shape[2:], attributes["kernel_shape"], *(attributes[name] for name in names))


def _conv_run(inputs: list[Any], attributes: dict[str, Any], products: Sequence[Product]) -> list[Array]:
    return [_with_bias(convolve(inputs[0], conv_geometry(inputs[0], attributes), products[0]), inputs)]


def _with_bias(y: Array, inputs: list[Any]) -> Array:
    """Add a bias that is not constant."""
    bias = inputs[2] if len(inputs) > 2 else None
    return y if bias is None else y + bias.reshape(-1, *(1 for _ in y.shape[2:]))


def convolve(x: Array, geometry: Geometry, product: Product) -> Array:
    """Convolve by products: a vector is what a patch of outputs reads, its result the patch's outputs by pixel.

    Vectors hold each pixel as often as patches read it, so a large batch, or picture, is convolved part by part.
    """
    x, patch = product.entering(x), product.patch(geometry)
    rows = geometry.patches(patch)[0]
    row = x.shape[1] * math.prod(geometry.patches(patch)[1:]) * math.prod(map(len, geometry.taps(patch)))
    together = max(1, _BLOCK // max(1, row))
    batch, height = max(1, together // max(1, rows)), min(rows, together)
    if len(x) <= batch and rows <= height:
        return _convolve(x, geometry, patch, product)
    parts = []
    for start in range(0, len(x), batch):
        some = x[start : start + batch]
        bands = (geometry.rows(patch, first, first + height) for first in range(0, rows, height))
        parts.append(np.concatenate([_convolve(some, band, patch, product) for band in bands], axis=2))
    return np.concatenate(parts)


def _convolve(x: Array, geometry: Geometry, patch: Ints, product: Product) -> Array:
    rank, counts, batch = len(geometry.kernel), geometry.patches(patch), len(x)
    flat = product.convolved(x, geometry)
    if flat is None:
        flat = product.entered(geometry.vectors(x, patch))
    results = flat.reshape(batch, *counts, *patch, -1)
    pairs = [axis for i in range(rank) for axis in (1 + i, 1 + rank + i)]
    pixels = results.transpose(0, 1 + 2 * rank, *pairs)
    whole = pixels.reshape(batch, -1, *(n * p for n, p in zip(counts, patch, strict=True)))
    cut = (slice(None), slice(None), *(slice(n) for n in geometry.outputs))
    return whole[cut]


def conv(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    kernel_shape: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Any:
    given = {key: value for key, value in locals().items() if key not in "xwb"}
    return evaluate_as_products("Conv", [x, w, b], (1, 2), **given)


def _conv_shape(x: Array, w: Array, b: Array | None = None, **attributes: Any) -> Shape:
    _check_channels(x, w.shape[1] * attributes["group"], w, "Conv")
    geometry = conv_geometry(x, _conv_prepare([x, w], attributes))
    return (x.shape[0], w.shape[0], *geometry.outputs)


def _check_channels(x: Array, channels: int, w: Array, name: str) -> None:
    if x.ndim != w.ndim or x.shape[1] != channels:
        raise NetworkError(f"{name}'s input has the shape {x.shape}; its weights {w.shape} take {channels} channels")


enter("Conv", Linear(_conv_weights, _conv_prepare, _conv_matrices, _conv_run), conv, _conv_shape)


def _transposed_matrices(inputs: list[Any], attributes: dict[str, Any]) -> list[Matrix]:
    """A transposed convolution is a convolution of its input with zeros inserted, its kernel turned round."""
    w, bias = inputs[1], inputs[2] if len(inputs) > 2 else None
    groups = attributes["group"]
    turned = (slice(None), slice(None), *(slice(None, None, -1) for _ in w.shape[2:]))
    parts = w[turned].reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
    return _blocks(parts.reshape(groups * w.shape[1], w.shape[0] // groups, *w.shape[2:]), groups, bias)


def transposed_geometry(sizes: Shape, attributes: dict[str, Any]) -> Geometry:
    kernel, rank = attributes["kernel_shape"], len(attributes["kernel_shape"])
    strides, dilations = (attributes[name] or [1] * rank for name in ("strides", "dilations"))
    extra = attributes["output_padding"] or [0] * rank
    pads, target = attributes["pads"] or [0] * 2 * rank, attributes["output_shape"]
    auto = attributes["auto_pad"]
    if target is None and auto.startswith("SAME"):
        target = [size * stride for size, stride in zip(sizes, strides, strict=True)]
    before, outputs = [], []
    for i, size in enumerate(sizes):
        reach = (kernel[i] - 1) * dilations[i] + 1
        full = (size - 1) * strides[i] + reach + extra[i]
        if target is None:
            first, count = pads[i], full - pads[i] - pads[i + rank]
        else:
            total, count = full - target[i], int(target[i])
            first = total // 2 if auto == "SAME_UPPER" else total - total // 2
        before.append(reach - 1 - first)
        outputs.append(count)
    return Geometry(tuple(kernel), (1,) * rank, tuple(dilations), tuple(before), tuple(outputs))


def _transposed_run(inputs: list[Any], attributes: dict[str, Any], products: Sequence[Product]) -> list[Array]:
    x = inputs[0]
    strides = attributes["strides"] or [1] * (x.ndim - 2)
    geometry = transposed_geometry(x.shape[2:], attributes)
    spread = np.zeros((*x.shape[:2], *((n - 1) * s + 1 for n, s in zip(x.shape[2:], strides, strict=True))), x.dtype)
    places = (slice(None), slice(None), *(slice(None, None, s) for s in strides))
    spread[places] = x
    return [_with_bias(convolve(spread, geometry, products[0]), inputs)]


def conv_transpose(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: list[int] | None = None,
    group: int = 1,
    kernel_shape: list[int] | None = None,
    output_padding: list[int] | None = None,
    output_shape: list[int] | None = None,
    pads: list[int] | None = None,
    strides: list[int] | None = None,
) -> Any:
    given = {key: value for key, value in locals().items() if key not in "xwb"}
    return evaluate_as_products("ConvTranspose", [x, w, b], (1, 2), **given)


def _transposed_shape(x: Array, w: Array, b: Array | None = None, **attributes: Any) -> Shape:
    _check_channels(x, w.shape[0], w, "ConvTranspose")
    geometry = transposed_geometry(x.shape[2:], _conv_prepare([x, w], attributes))
    return (x.shape[0], w.shape[1] * attributes["group"], *geometry.outputs)


enter(
    "ConvTranspose",
    Linear(_conv_weights, _conv_prepare, _transposed_matrices, _transposed_run),
    conv_transpose,
    _transposed_shape,
)
