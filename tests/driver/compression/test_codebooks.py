"""Sums of two codebooks: what they hold exactly, and how near they come to what they do not."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from eie.compression.codebooks import codes_of_terms, holds, selection, share_among, values_of


def sqnr(values, codebooks, codes):
    error = values.astype(np.float64) - values_of(codebooks)[codes]
    return 10 * np.log10(np.sum(values.astype(np.float64) ** 2) / max(np.sum(error**2), 1e-300))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-128, 0),
    st.integers(0, 127),
    st.floats(2.0**-20, 2.0**20, width=32),
    st.integers(0, 2**32 - 1),
)
def test_integers_of_an_8_bit_range_are_held_exactly(low, high, scale, seed):
    integers = np.random.default_rng(seed).integers(low, high + 1, 400)
    values = (np.unique(integers[integers != 0]) * np.float32(scale)).astype(np.float32)
    assert holds(values, 2)
    codebooks, codes = share_among(values, "linear", 2)
    assert (codes > 0).all()
    found = values_of(codebooks)[codes]
    assert np.abs(found - values).max(initial=0) <= 2e-6 * np.abs(values).max(initial=0)


@pytest.mark.parametrize(("draw", "wanted"), [("standard_normal", 38), ("standard_exponential", 35)])
def test_two_codebooks_come_within_36_to_40_db_of_weights_of_any_value(draw, wanted):
    values = getattr(np.random.default_rng(0), draw)(30_000).astype(np.float32)
    assert not holds(values, 2)
    one, two = (sqnr(values, *share_among(values, "kmeans", terms)) for terms in (1, 2))
    assert one < 24 and two > wanted


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=80), st.integers(0, 2**32 - 1))
@example([0, 8, 3, 4, 5, 6, 7, 9, 10, 0.5, 0.25, 0.125, 0.0625, 1, 2, 11], 0)  # entry 0 was -2.5e-57
def test_a_second_codebook_never_does_harm(values, seed):
    values = np.array(values, np.float32)
    mass = np.random.default_rng(seed).random(len(values)) + 0.1
    losses = []
    for terms in (1, 2):
        codebooks, codes = share_among(values, "linear", terms, mass)
        assert codebooks.shape == (terms, 16) and not codebooks[:, 0].any()
        losses.append(mass @ (values - values_of(codebooks)[codes]) ** 2)
    assert losses[1] <= losses[0] * (1 + 1e-6) + 1e-9


def test_a_code_of_two_terms_is_one_code_of_each():
    codebooks = np.random.default_rng(0).standard_normal((2, 16))
    codebooks[:, 0] = 0
    codes = np.arange(256, dtype=np.uint8)
    first, second = codes_of_terms(codes, 2)
    assert np.array_equal(values_of(codebooks), codebooks[0, first] + codebooks[1, second])
    assert np.allclose(selection(2) @ codebooks.ravel(), values_of(codebooks))
