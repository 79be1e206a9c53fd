"""Convolutions on the array: a matrix for one output pixel becomes one for a patch of neighbouring pixels.

A broadcast value of a convolution finds work in as few rows as its kernel has taps times output channels; of a patch in
both directions it finds several times that, and the same small matrix still serves every place of the picture.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ArrayConfig
from eie.network.model import Layer
from eie.network.operators.windows import Geometry, Ints
from eie.network.term import Term

_SIDES = (1, 2, 3, 4, 5, 6, 8, 12, 16)
TYPICAL_ACTIVATIONS = 0.6
"""Share of the activations taken to be non-zero."""
_IMBALANCE = 1.2
"""The busiest PE's entries over the mean's, padding included, as measured on small layers."""
_PATCH_CYCLES = 30
"""What a vector costs besides: filling and draining the pipeline, biases, instructions."""


def patch_layer(layer: Layer, geometry: Geometry, patch: Ints) -> Layer:
    """Return the layer that computes a patch of outputs at once.

    Parameters
    ----------
    layer : Layer
        One output pixel: rows are output channels, columns input channels x kernel taps.
    geometry : Geometry
        Kernel, strides and dilations are read.
    patch : tuple of int
        Outputs along each axis.

    Returns
    -------
    Layer
        Rows are the patch's pixels x output channels, columns input channels x the taps of `Geometry.taps`.
    """
    kernel = geometry.kernel
    channels = layer.columns // math.prod(kernel)
    taps = geometry.taps(patch)
    places = [
        np.searchsorted(tap, np.arange(p)[:, None] * s + np.arange(k) * d)
        for tap, p, k, s, d in zip(taps, patch, kernel, geometry.strides, geometry.dilations, strict=True)
    ]
    count = math.prod(patch)
    return layer.with_terms(
        (_patch_term(term, layer.rows, channels, geometry, places, taps) for term in layer.terms),
        rows=count * layer.rows,
        columns=channels * math.prod(map(len, taps)),
        bias=np.tile(layer.bias, count),
    )


def _patch_term(
    term: Term, pixel_rows: int, channels: int, geometry: Geometry, places: list[NDArray[np.intp]], taps: Sequence[Any]
) -> Term:
    """Return the term of a patch, given where each pixel of it has its taps along every axis."""
    channel, *at = np.unravel_index(term.column_indices(), (channels, *geometry.kernel))
    shape = (channels, *map(len, taps))
    rows, columns = [], []
    for pixel, position in enumerate(itertools.product(*(range(len(place)) for place in places))):
        moved = (place[p][k] for place, p, k in zip(places, position, at, strict=True))
        columns.append(np.ravel_multi_index((channel, *moved), shape))
        rows.append(pixel * pixel_rows + term.row_indices)
    row, column = np.concatenate(rows), np.concatenate(columns)
    order = np.lexsort((row, column))
    starts = np.zeros(math.prod(shape) + 1, np.intp)
    np.cumsum(np.bincount(column, minlength=math.prod(shape)), out=starts[1:])
    return Term(starts, row[order], np.tile(term.codes, len(rows))[order], term.codebook)


def choose_patch(layer: Layer, geometry: Geometry, config: ArrayConfig) -> Ints:
    """Return the patch with which an array takes the fewest cycles for one picture, by a simple estimate.

    Larger patches find more work for a broadcast and need fewer of them, but their matrix takes longer to load, and
    what does not fit the array's memories has to be loaded for every vector. A patch must fit one row tile.
    """
    sides = [[s for s in _SIDES if s <= n or s == 1] for n in geometry.outputs]
    channels = layer.columns // math.prod(geometry.kernel)

    def cost(patch: Ints) -> tuple[float, int]:
        pixels = math.prod(patch)
        window = channels * math.prod(map(len, geometry.taps(patch)))
        if pixels > 1 and (layer.rows * pixels > config.rows * config.num_pes or window * 2 > config.activations):
            return math.inf, pixels
        entries = layer.nonzeros * pixels / config.num_pes * _IMBALANCE
        vector = max(window, entries) * TYPICAL_ACTIVATIONS + _PATCH_CYCLES
        bits = window * config.pointer_bits + entries * config.entry_bits
        load = bits * config.num_pes / config.stream_bits
        stays = entries <= config.entries and window <= config.tile_columns * config.banks
        vectors = math.prod(geometry.patches(patch))
        return load + vectors * vector if stays else vectors * max(load, vector), pixels

    return min(itertools.product(*sides), key=cost)
