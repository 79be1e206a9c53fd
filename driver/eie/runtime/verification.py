"""Every output compared with the integer reference; a difference is traced to its layer, row, PE and tile."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from eie.errors import VerificationError
from eie.network.limits import fitting_name
from eie.network.model import Model
from eie.network.reference import reference, reference_layer
from eie.program.packing import PackedModel

Run = Callable[[Model, NDArray[np.int16]], NDArray[np.int16]]
"""Runs a model on the device: int16, shape (B, C) -> int16, shape (B, R)."""


def verify(packed: PackedModel, activations: NDArray[np.int16], outputs: NDArray[np.int16], run: Run) -> None:
    """Compare a batch's outputs with the integer reference of the model that was given.

    Parameters
    ----------
    packed : PackedModel
    activations : ndarray, shape (B, C), int16
    outputs : ndarray, shape (B, R), int16
        What the device gave.
    run : callable
        Runs single layers on the device, to find out which one differs.

    Raises
    ------
    VerificationError
        If an output differs.
    """
    expected = reference(packed.given, activations)
    wrong = np.argwhere(outputs != expected)
    if len(wrong):
        text = _first_difference(packed, activations, outputs, expected, wrong[0], run)
        raise VerificationError(f"{text}; {len(wrong)} outputs of the batch differ")


def _first_difference(
    packed: PackedModel,
    activations: NDArray[np.int16],
    outputs: NDArray[np.int16],
    expected: NDArray[np.int16],
    wrong: NDArray[np.intp],
    run: Run,
) -> str:
    """Run the failing input layer by layer, each on the reference's input, and describe the first difference."""
    vector, row = (int(i) for i in wrong)
    model, a = packed.model, activations[vector : vector + 1]
    for index, layer in enumerate(model.layers):
        right = reference_layer(layer, a)
        got = run(Model([layer], name=fitting_name(f"{model.name}, layer {index}")), a)
        if not np.array_equal(got, right):
            at = int(np.flatnonzero(got[0] != right[0])[0])
            return _describe(packed, index, vector, at, int(got[0, at]), int(right[0, at]))
        a = right
    text = _describe(packed, len(model.layers) - 1, vector, row, int(outputs[vector, row]), int(expected[vector, row]))
    return (
        f"{text}; each layer alone gives the right answer, so the error is transient, between layers or in the "
        "weights on the device"
    )


def _describe(packed: PackedModel, index: int, vector: int, row: int, got: int, right: int) -> str:
    place = int(packed.places[index][row]) if packed.places else row
    local, pe = divmod(place, packed.config.num_pes)
    row_tiles = packed.row_tiles[index]
    tile = max(i for i, row_tile in enumerate(row_tiles) if row_tile.first_local_row <= local)
    return (
        f"input {vector}: layer {index}, row {packed.rows[index][row]} (PE {pe}, local row {local}, row tile {tile} of "
        f"{len(row_tiles)}): the device gives {got}, the reference {right}"
    )
