"""Tiles are kept while there is room; of those whose ranges overlap, active columns alone are decoded, in parts."""

import dataclasses

import numpy as np
import pytest

import eie
from eie.devices.emulation import tile_cache, tile_products
from eie.devices.emulation.machine import Machine

CONFIG = eie.ArrayConfig(num_pes=4, entries=256, pointers=64, rows=16, activations=128)


def filled(seed, rows=16):
    """Return the memories of a machine, all random, so that ranges of pointers overlap and wrap."""
    rng = np.random.default_rng(seed)
    machine = Machine(dataclasses.replace(CONFIG, rows=rows))
    machine.pointers[:] = rng.integers(0, 1 << machine.config.pointer_bits, machine.pointers.shape)
    machine.entries[:] = rng.integers(0, 256, machine.entries.shape)
    return machine, rng


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("rows", [16, 256], ids=["runs longer than rows", "more rows"])
def test_parts_add_up_to_what_the_whole_tile_gives(monkeypatch, compiled, rows):
    if not compiled:
        monkeypatch.setattr(tile_products, "_kernels", [None])
    monkeypatch.setattr(tile_cache, "_PART_ENTRIES", 700)
    machine, rng = filled(1, rows)
    codebook = np.r_[0, rng.integers(-30000, 30000, 15)].astype(np.int16)
    activations = rng.integers(-30000, 30000, (3, 60)).astype(np.int16)
    activations[:, rng.random(60) < 0.5] = 0
    active = (activations != 0).sum(axis=0)
    sums, expected = np.zeros((2, 3, rows * 4), np.int64)
    number = 0
    for columns, part in machine.tiles.parts(0, 0, 15, active > 0):
        part.accumulate(activations[:, columns], codebook, sums)
        part.broadcasts += active[columns]
        number += 1
    assert number > 3 if rows == 256 else number == 1
    work = [counts.copy() for counts in machine.tiles.work()]
    whole = machine.tiles.tile(0, 0, 15)
    whole.accumulate(activations, codebook, expected)
    assert np.array_equal(sums, expected)
    whole.broadcasts += active
    assert np.array_equal(work, whole.take_counts())


def test_a_tile_without_active_columns_is_not_decoded(monkeypatch):
    machine, _ = filled(2)
    monkeypatch.setattr(tile_cache, "decode_columns", None)
    for count in (1, 15):
        assert list(machine.tiles.parts(0, 0, count, np.zeros(4 * count, bool))) == []


def test_tiles_that_overlap_are_not_all_kept():
    machine, _ = filled(3)
    for pointers in range(20):
        for count in range(1, 6):
            machine.tiles.tile(0, pointers, count)
            kept = machine.tiles._kept[0].values()
            assert len(kept) == 1 or sum(len(tile.entries) for tile in kept) <= 2 * 4 * CONFIG.entries


def test_a_tile_that_comes_again_is_not_decoded_again(monkeypatch):
    machine, rng = filled(4)
    tiles, first = machine.tiles, machine.entries[0].copy()
    decoded = []
    decode = tile_cache.decode_columns
    monkeypatch.setattr(tile_cache, "decode_columns", lambda *given: decoded.append(given) or decode(*given))

    def load(entries, bank=0):
        machine.entries[bank] = entries
        tiles.forget(bank)
        return tiles.tile(bank, 0, 3)

    tile, other = load(first), load(rng.permutation(first.ravel()).reshape(first.shape))
    assert load(first) is tile and len(decoded) == 2
    machine.pointers[1] = machine.pointers[0]
    assert load(first, bank=1) is tile, "whichever bank it is in"
    machine.pointers[0, 5] += 1  # of another column, so that other entries are read
    assert load(first) is not tile and other is not tile and len(decoded) == 3


def test_tiles_beyond_their_bank_have_a_limit(monkeypatch):
    machine, rng = filled(5)
    monkeypatch.setattr(tile_cache, "_KNOWN_BYTES", 100_000)
    for _ in range(30):
        machine.entries[0] = rng.integers(0, 256, machine.entries[0].shape)
        machine.tiles.forget(0)
        machine.tiles.tile(0, 0, 3)
    known = machine.tiles._known.values()
    assert 1 < len(known) < 30 and sum(tile.nbytes for tile in known) == machine.tiles._known_bytes <= 100_000
