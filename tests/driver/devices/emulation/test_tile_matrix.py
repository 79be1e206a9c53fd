"""All ways of multiplying a tile give the same exact sums: compiled, entry by entry, dense, and block by block."""

import numpy as np
import pytest

from eie.devices.emulation import tile_matrix
from eie.devices.emulation.tile_matrix import TileMatrix


def random_tile(rng, columns, size, entries):
    """Return a tile whose rows repeat within columns now and then, as wrapping addresses may."""
    starts = np.r_[0, np.sort(rng.integers(0, entries + 1, columns - 1)), entries]
    accumulators, codes = rng.integers(0, size, entries), rng.integers(1, 16, entries)
    none = np.zeros((columns, 4), np.int32)
    return TileMatrix(starts, (accumulators << 4 | codes).astype(np.uint32), none, none, size)


def expected_sums(tile, activations, codebook):
    weights = np.zeros((len(tile.column_starts) - 1, tile.size), object)
    column = np.repeat(np.arange(len(weights)), np.diff(tile.column_starts))
    np.add.at(weights, (column, tile.entries >> 4), codebook[tile.entries & 15].astype(object))
    return (activations.astype(object) @ weights).astype(np.int64)


@pytest.fixture(params=["compiled", "sparse", "dense", "blocks"])
def way(request, monkeypatch):
    """Make every product go one way, and the blocks and partial sums so small that several are needed."""
    if request.param == "compiled":
        assert tile_matrix.compiled_kernel() is not None, "the test environment has numba"
        return
    never, always = 1 << 30, 1
    monkeypatch.setattr(tile_matrix, "_compiled", [None])
    monkeypatch.setattr(tile_matrix, "_SPARSE_ENTRIES", 50)
    monkeypatch.setattr(tile_matrix, "_BLOCK_BYTES", 5 * 24 * 8)
    monkeypatch.setattr(tile_matrix, "_DENSE_BYTES", never if request.param == "dense" else 0)
    monkeypatch.setattr(tile_matrix, "_DENSE_BATCH", always)
    monkeypatch.setattr(tile_matrix, "_BLOCK_BATCH", always if request.param == "blocks" else never)


@pytest.mark.parametrize("entries", [0, 1, 700])
@pytest.mark.parametrize("batch", [1, 7, 40])
def test_products_are_exact(way, batch, entries):
    rng = np.random.default_rng(batch + entries)
    tile = random_tile(rng, columns=33, size=24, entries=entries)
    codebook = np.r_[0, rng.choice([-32768, 32767, 1, -77], 15)].astype(np.int16)
    activations = rng.choice(np.array([0, 0, -32768, 32767, 5], np.int16), (batch, 33))
    activations[0] = 0
    before = rng.integers(-1000, 1000, (batch, 30))
    sums = before.copy()
    tile.accumulate(activations, codebook, sums)
    assert np.array_equal(sums[:, :24], before[:, :24] + expected_sums(tile, activations, codebook))
    assert np.array_equal(sums[:, 24:], before[:, 24:])


def test_another_codebook_gives_other_sums(way):
    rng = np.random.default_rng(5)
    tile = random_tile(rng, columns=10, size=24, entries=60)
    activations = rng.integers(-500, 500, (20, 10)).astype(np.int16)
    for _ in range(2):
        codebook = np.r_[0, rng.integers(-900, 900, 15)].astype(np.int16)
        sums = np.zeros((20, 24), np.int64)
        tile.accumulate(activations, codebook, sums)
        assert np.array_equal(sums, expected_sums(tile, activations, codebook))


def test_numpy_alone_adds_up_more_entries_than_a_float_holds_exactly(monkeypatch):
    """Columns whose ranges overlap may bring one accumulator more than 2**23 products of 30 bits."""
    from eie.devices.emulation import tile_matrix

    monkeypatch.setattr(tile_matrix, "_compiled", [None])
    columns, each = 300, 1 << 15
    starts = np.arange(columns + 1, dtype=np.intp) * each
    entries = np.full(columns * each, 1, np.uint32)  # all of accumulator 0, code 1
    counts = np.full((columns, 1), each, np.int32)
    tile = tile_matrix.TileMatrix(starts, entries, counts, counts * 0, 1)
    codebook = np.zeros(16, np.int16)
    codebook[1] = 32767
    activations = np.full((1, columns), 32767, np.int16)
    activations[0, 0] = 32766
    sums = np.zeros((1, 1), np.int64)
    tile.accumulate(activations, codebook, sums)
    assert int(sums[0, 0]) == 32767 * each * (32767 * (columns - 1) + 32766)
