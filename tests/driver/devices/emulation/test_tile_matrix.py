"""A tile's products follow the codebook of the moment."""

import numpy as np

from eie.devices.emulation.tile_matrix import TileMatrix


def test_another_codebook_gives_other_sums():
    rng = np.random.default_rng(5)
    columns, size, entries = 10, 24, 60
    starts = np.concatenate(([0], np.sort(rng.integers(0, entries + 1, columns - 1)), [entries])).astype(np.intp)
    accumulators, codes = rng.integers(0, size, entries), rng.integers(1, 16, entries)
    none = np.zeros((columns, 4), np.int32)
    tile = TileMatrix(starts, (accumulators << 4 | codes).astype(np.uint32), none, none, size)
    activations = rng.integers(-500, 500, (20, columns)).astype(np.int16)
    column = np.repeat(np.arange(columns), np.diff(starts))
    codebook = np.zeros(16, np.int16)
    for _ in range(2):
        codebook[1:] = rng.integers(-900, 900, 15)  # in place, as the machine's memory changes
        weights = np.zeros((columns, size), np.int64)
        np.add.at(weights, (column, accumulators), codebook[codes])
        sums = np.zeros((20, size), np.int64)
        tile.accumulate(activations, codebook, sums)
        assert np.array_equal(sums, activations @ weights)
