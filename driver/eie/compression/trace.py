"""Activations between layers, as the given network and every stage of its compression compute them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.compression.compensation import Compensated
from eie.compression.forward import forward_integer, forward_pruned, forward_shared
from eie.compression.report import sqnr_db
from eie.contract.fixed_point import dequantise, quantise
from eie.network.model import Dense, Layer

_ALIKE_DB = 60.0


@dataclass
class Trace:
    """Activations after the layers so far.

    Parameters
    ----------
    given : ndarray, shape (B, C), float32
        Of the given network.
    pruned : ndarray, shape (B, C), float32
        Of the pruned network, compensated where the method does, before its values are shared.
    shared : ndarray, shape (M, C), float32
        Of the network of shared values, in floating point, for the measured inputs alone.
    integer : ndarray, shape (B, C), int16
        Of the compressed network.
    fraction_bits : int
        Of `integer`.
    measured : ndarray, shape (M,), intp
        The inputs on which errors are measured.
    """

    given: NDArray[np.float32]
    pruned: NDArray[np.float32]
    shared: NDArray[np.float32]
    integer: NDArray[np.int16]
    fraction_bits: int
    measured: NDArray[np.intp]

    @classmethod
    def start(cls, inputs: NDArray[np.float32], fraction_bits: int, measured: NDArray[np.intp]) -> Trace:
        """Return the network's inputs, as everything begins with."""
        return cls(inputs, inputs, inputs[measured], quantise(inputs, fraction_bits), fraction_bits, measured)

    def inputs(self) -> NDArray[np.float32]:
        """Return what the compressed layers so far give; the given array itself where it is as good as that."""
        found = dequantise(self.integer, self.fraction_bits)
        ratio = sqnr_db(self.given, found)
        return self.given if ratio is None or ratio > _ALIKE_DB else found

    def prune(self, dense: Dense, chosen: Compensated) -> None:
        """Move the given and the pruned network behind a layer."""
        relu = dense.activation == "relu"
        self.given = forward_pruned(self.given, dense.weight, None, dense.bias, relu)
        self.pruned = forward_pruned(self.pruned, chosen.weight, chosen.mask, chosen.bias, relu)

    def finish(self, layer: Layer, chosen: Compensated) -> dict[str, float | None]:
        """Move the rest behind it, and return the ratios of signal to error of the report."""
        self.shared = forward_shared(
            self.shared, chosen.codes, chosen.centroids, chosen.shared_bias, layer.relu, chosen.units
        )
        self.integer = forward_integer(self.integer, layer.dense_integers(), layer)
        self.fraction_bits = layer.output_fraction_bits
        outputs = dequantise(self.integer[self.measured], self.fraction_bits)
        given, pruned = self.given[self.measured], self.pruned[self.measured]
        return {
            "output_sqnr_db": sqnr_db(given, outputs),
            "pruning_sqnr_db": sqnr_db(given, pruned),
            "sharing_sqnr_db": sqnr_db(pruned, self.shared),
            "fixed_point_sqnr_db": sqnr_db(self.shared, outputs),
            "pruned_sqnr_db": sqnr_db(pruned, outputs),
        }
