"""All ways of multiplying a tile give the same exact sums, and the one that is chosen may be."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.devices.emulation import tile_products
from eie.devices.emulation.tile_products import Load, TileProducts, count_active

EVERYWHERE = ["vector_by_vector", "dense", "block_by_block"]
COMPILED = ["compiled_by_vector", "compiled_together"]
EXTREMES = [-32768, 32767, 1, -77]


@dataclasses.dataclass
class Case:
    products: TileProducts
    activations: np.ndarray
    before: np.ndarray

    @property
    def load(self):
        active = count_active(self.activations)
        touched = int(active @ np.diff(self.products.column_starts))
        return Load(len(self.activations), int(active.sum()), touched)

    def expected(self):
        """Sums in integers of any size, taken to 64 bits."""
        products = self.products
        weights = np.zeros((len(products.column_starts) - 1, products.size), object)
        column = np.repeat(np.arange(len(weights)), np.diff(products.column_starts))
        np.add.at(weights, (column, products.entries >> 4), products.codebook[products.entries & 15].astype(object))
        sums = self.before.astype(object)
        sums[:, : products.size] += self.activations.astype(object) @ weights
        return sums.astype(np.int64)


def make(seed, batch, columns, entries, values=EXTREMES, weights=EXTREMES, active=0.6):
    """Return a tile whose rows repeat within columns now and then, as wrapping addresses may, and a batch for it."""
    rng = np.random.default_rng(seed)
    pes = int(rng.choice([1, 2, 8, 64]))
    size = pes * int(rng.integers(1, 1 + 192 // pes))
    starts = np.concatenate(([0], np.sort(rng.integers(0, entries + 1, columns - 1)), [entries])).astype(np.intp)
    words = (rng.integers(0, size, entries) << 4 | rng.integers(1, 16, entries)).astype(np.uint32)
    codebook = np.concatenate(([0], rng.choice(weights, 15))).astype(np.int16)
    activations = (rng.choice(values, (batch, columns)) * (rng.random((batch, columns)) < active)).astype(np.int16)
    before = rng.integers(-(1 << 62), 1 << 62, (batch, size + 6))
    return Case(TileProducts(starts, words, size, codebook), activations, before)


cases = st.builds(
    make,
    seed=st.integers(0, 1 << 32),
    batch=st.integers(1, 70),
    columns=st.integers(1, 40),
    entries=st.sampled_from([0, 1, 30, 700]),
    active=st.sampled_from([0.0, 0.1, 1.0]),
)


@pytest.mark.parametrize("way", EVERYWHERE + COMPILED)
def test_every_way_gives_the_exact_sums(monkeypatch, way):
    monkeypatch.setattr(tile_products, "_SPARSE_ENTRIES", 50)
    monkeypatch.setattr(tile_products, "_BLOCK_BYTES", 5 * 24 * 8)

    @settings(max_examples=25, deadline=None)
    @given(cases)
    def check(case):
        if case.load.touched:
            sums = case.before.copy()
            getattr(case.products, way)(case.activations, sums)
            assert np.array_equal(sums, case.expected())

    check()


@pytest.mark.parametrize("compiled", [True, False])
def test_so_does_the_one_that_is_chosen(monkeypatch, compiled):
    if compiled:
        assert tile_products.compiled_kernels() is not None, "the test environment has numba"
    else:
        monkeypatch.setattr(tile_products, "_kernels", [None])

    @settings(max_examples=40, deadline=None)
    @given(cases)
    def check(case):
        sums = case.before.copy()
        case.products.add(case.activations, sums)
        assert np.array_equal(sums, case.expected())

    check()


def dense(weight, columns, size=64):
    """Return a tile without a hole, of one weight."""
    starts = np.arange(columns + 1, dtype=np.intp) * size
    words = np.tile(np.arange(size) << 4 | 1, columns).astype(np.uint32)
    return TileProducts(starts, words, size, np.array([0, weight] + [0] * 14, np.int16))


def chosen(products, activations):
    case = Case(products, activations, np.zeros((len(activations), products.size), np.int64))
    return products.fastest(activations, case.load).__name__


@pytest.mark.parametrize("compiled", [True, False])
def test_a_dense_tile_is_multiplied_in_float32_up_to_the_last_sum_that_it_holds(monkeypatch, compiled):
    monkeypatch.setattr(tile_products, "_kernels", tile_products._kernels if compiled else [None])
    products = dense(weight=-256, columns=1024)  # a sum reaches 2**18 times the largest activation
    for largest, way in ((64, "dense_single"), (65, "dense"), (-64, "dense_single"), (-65, "dense")):
        activations = np.full((64, 1024), 1 if largest > 0 else -1, np.int16)
        activations[5, 7] = largest
        assert chosen(products, activations) == way
        activations[:] = largest
        sums = np.zeros((64, 64), np.int64)
        products.add(activations, sums)
        assert (sums == -largest * 1024 * 256).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32), st.sampled_from([1, 7, 64]))
def test_what_may_be_multiplied_in_float32_is_exact(seed, batch):
    case = make(seed, batch, 40, 700, values=[-7, 1, 7], weights=[-6000, -4095, 4095, 5, 1])
    if case.products._fit_single(case.activations):
        sums = case.before.copy()
        case.products.dense_single(case.activations, sums)
        assert np.array_equal(sums, case.expected())


def test_a_few_inputs_of_a_sparse_tile_are_multiplied_entry_by_entry_with_numba_and_a_matrix_is_made_without(
    monkeypatch,
):
    case = make(3, batch=2, columns=40, entries=60, active=0.1)
    assert chosen(case.products, case.activations) == "compiled_by_vector"
    monkeypatch.setattr(tile_products, "_kernels", [None])
    assert chosen(case.products, case.activations) == "dense"


@pytest.mark.parametrize("compiled", [True, False])
def test_more_entries_than_a_float_adds_up_exactly_are_added_up_in_parts(monkeypatch, compiled):
    """Columns whose ranges overlap may bring one accumulator more than 2**23 products of 30 bits."""
    monkeypatch.setattr(tile_products, "_kernels", tile_products._kernels if compiled else [None])
    columns, each = 300, 1 << 15
    starts = np.arange(columns + 1, dtype=np.intp) * each
    entries = np.full(columns * each, 1, np.uint32)  # all of accumulator 0, code 1
    products = TileProducts(starts, entries, 1, np.array([0, 32767] + [0] * 14, np.int16))
    activations = np.full((1, columns), 32767, np.int16)
    activations[0, 0] = 32766
    sums = np.zeros((1, 1), np.int64)
    products.add(activations, sums)
    assert int(sums[0, 0]) == 32767 * each * (32767 * (columns - 1) + 32766)


@pytest.mark.parametrize("batch", [1, 255, 256, 600])
def test_active_activations_are_counted_however_many(batch):
    activations = np.ones((batch, 3), np.int16)
    activations[:, 1] = 0
    activations[0, 2] = 0
    assert count_active(activations).tolist() == [batch, 0, batch - 1]
