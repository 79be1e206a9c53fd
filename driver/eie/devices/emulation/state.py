"""What each repetition of a batch has of its own: activations and accumulators."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.contract.config import ACCUMULATOR_BITS, ArrayConfig
from eie.devices.emulation.overlapping_tile import OverlappingTile
from eie.devices.emulation.tile_matrix import TileMatrix


@dataclass
class State:
    """What differs between the repetitions of a batch.

    Parameters
    ----------
    activations : ndarray, shape (B, groups, lanes), int16
    accumulators : ndarray, shape (B, rows * N), int64
        Accumulator ``local row * N + PE``; exact but for multiples of 2**64, which STORE's 48 bits do not show.
    """

    activations: NDArray[np.int16]
    accumulators: NDArray[np.int64]

    @classmethod
    def zeros(cls, config: ArrayConfig, repetitions: int) -> State:
        """Return a state of zeros."""
        return cls(
            np.zeros((repetitions, config.activation_groups, config.lanes), np.int16),
            np.zeros((repetitions, config.rows * config.num_pes), np.int64),
        )


def accumulate(
    tile: TileMatrix | OverlappingTile,
    activations: NDArray[np.int16],
    codebook: NDArray[np.int16],
    accumulators: NDArray[np.int64],
) -> None:
    """Add a tile's products to a part of the accumulators, shape (B, size of the part), in which its rows may wrap."""
    size = accumulators.shape[1]
    if tile.size <= size:
        tile.accumulate(activations, codebook, accumulators)
        return
    sums = np.zeros((len(activations), -(-tile.size // size) * size), np.int64)
    tile.accumulate(activations, codebook, sums)
    accumulators += sums.reshape(len(sums), -1, size).sum(axis=1)


def wrapped(sums: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return sums as accumulators of their width hold them, two's complement."""
    spare = 64 - ACCUMULATOR_BITS
    values = sums << spare
    values >>= spare
    return values
