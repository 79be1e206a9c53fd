"""Batches through the layers of a model whose weights are on the device, and what is known of their values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eie.contract import registers
from eie.contract.fixed_point import quantise
from eie.errors import PackError
from eie.network.model import Model
from eie.program.packing import PackedModel
from eie.runtime.saturation import Saturation, at_the_ends, saturated_outputs
from eie.runtime.transfers import Transfers
from eie.runtime.verification import verify

Source = Callable[[slice], NDArray[np.int16]]
"""Gives the activations of a slice of a batch, int16, shape (size, columns)."""


class ChainRunner:
    """Runs models on a device.

    Parameters
    ----------
    transfers : Transfers
    """

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers
        self._scratch = np.empty(0, np.int16)
        self._saturated_inputs = self._lost = 0

    def run(self, packed: PackedModel, source: Source, batch: int) -> NDArray[np.int16]:
        """Run a batch through all segments."""

        def counted(part: slice) -> NDArray[np.int16]:
            activations = source(part)
            self._saturated_inputs += at_the_ends(activations)
            return activations

        self._saturated_inputs = 0
        before = self._saturated()
        first, *others = packed.for_batch(batch).segments
        outputs = self._transfers.run(first, counted, batch)
        for segment in others:
            outputs = self._transfers.run(segment, outputs.__getitem__, batch)
        self._lost = (self._saturated() - before) % (1 << 32)
        return outputs

    def quantise(self, x: NDArray[Any], fraction_bits: int) -> NDArray[np.int16]:
        """Quantise into memory that is used again for the next transfer: getting fresh memory takes as long."""
        if self._scratch.size < x.size:
            self._scratch = np.empty(x.size, np.int16)
        return quantise(x, fraction_bits, self._scratch[: x.size].reshape(x.shape))

    def check(
        self,
        packed: PackedModel,
        inputs: NDArray[np.int16] | None,
        outputs: NDArray[np.int16],
        run_again: Callable[[Model, NDArray[np.int16]], NDArray[np.int16]],
    ) -> Saturation:
        """Compare the last run with the reference, if its inputs are given; count what saturated."""
        model = packed.model
        if inputs is not None:
            verify(packed, inputs, outputs, run_again)
        return Saturation(self._saturated_inputs, saturated_outputs(model, inputs, outputs), self._lost)

    def _saturated(self) -> int:
        """Return the low half of the array's counter: enough for what a run adds."""
        return self._transfers.device.read_register(registers.offset("saturated_low"))


def rows_of(model: Model, x: NDArray[Any]) -> NDArray[Any]:
    """Return inputs, in whatever shape the network takes them, as (batch, columns); one input as a batch of 1."""
    if x.shape != (model.columns,) and (x.ndim < 2 or math.prod(x.shape[1:]) != model.columns):
        raise PackError(f"x has shape {x.shape}; model {model.name!r} takes (batch, {model.columns})")
    return x.reshape(-1, model.columns)
