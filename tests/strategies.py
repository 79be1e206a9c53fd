"""Random arrays, layers, models and activations for hypothesis, and shapes chosen to reach every limit."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import strategies as st

import eie

PES = (1, 2, 4, 8, 16, 64, 256)


@st.composite
def configs(draw, pes=PES):
    """Arrays with memories small enough that ordinary layers overflow them."""
    num_pes = draw(st.sampled_from(pes))
    lanes = max(num_pes, 4)

    def times(low, high):
        return 1 << draw(st.integers(low, high))

    per_word = times(0, 4)
    return eie.ArrayConfig(
        num_pes=num_pes,
        queue_depth=times(0, 5),
        index_bits=draw(st.integers(1, 8)),
        entries_per_word=per_word,
        entries=max(lanes * (lanes // num_pes), per_word) * times(0, 3),
        pointers=2 * lanes * times(0, 3) + draw(st.sampled_from((0, 2))),
        rows=lanes // num_pes * times(0, 3),
        activations=2 * lanes * times(0, 4),
        banks=draw(st.integers(1, 2)),
        codebooks=draw(st.integers(1, 4)),
        first_row=draw(st.booleans()),
        skip_empty=draw(st.booleans()),
        stream_bits=draw(st.sampled_from([bits for bits in (64, 128, 256) if bits == 64 or num_pes >= bits // 4])),
        ultra_ram=draw(st.booleans()),
        balance_rows=draw(st.booleans()),
    )


@st.composite
def layers(draw, rows=None, columns=None, max_size=90):
    """Layers of any density, extreme weights, biases and shifts included."""
    rows = rows or draw(st.integers(1, max_size))
    columns = columns or draw(st.integers(1, max_size))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from((0.0, 0.02, 0.1, 0.4, 1.0)))
    codes = rng.integers(1, 16, (rows, columns)) * (rng.random((rows, columns)) < density)
    extreme = draw(st.booleans())
    weights = rng.choice([-32768, 32767, 1, -1, 0], 15) if extreme else rng.integers(-32768, 32768, 15)
    bias = rng.choice([-(2**31), 2**31 - 1, 0], rows) if extreme else rng.integers(-(2**20), 2**20, rows)
    return eie.Layer.from_dense_codes(
        codes,
        np.r_[0, weights],
        bias=bias,
        shift=draw(st.sampled_from((0, 1, 7, 15, 16, 30, 47))),
        relu=draw(st.booleans()),
        scaling=draw(scalings(rows)) if draw(st.booleans()) else None,
        second=draw(terms(rows, columns)) if draw(st.booleans()) else None,
    )


@st.composite
def terms(draw, rows, columns):
    """Second terms of a layer: where the first has no weight, too."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = rng.integers(1, 16, (rows, columns)) * (
        rng.random((rows, columns)) < draw(st.sampled_from((0.0, 0.1, 1.0)))
    )
    return eie.Term.from_dense_codes(codes, np.r_[0, rng.integers(-32768, 32768, 15)])


@st.composite
def scalings(draw, rows):
    """Row scales, small and extreme, with outputs of any range."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = rng.choice([-32768, 32767, 0, 1, -1], rows) if draw(st.booleans()) else rng.integers(-32768, 32768, rows)
    return eie.Scaling(
        scale,
        pre_shift=draw(st.sampled_from((0, 8, 16, 24))),
        low=draw(st.sampled_from((-32768, -128, -1, 0))),
        high=draw(st.sampled_from((32767, 127, 7, 1, 0))),
    )


@st.composite
def models(draw, max_layers=3, max_size=90):
    """Chains of layers."""
    sizes = draw(st.lists(st.integers(1, max_size), min_size=2, max_size=max_layers + 1))
    return eie.Model([draw(layers(rows=r, columns=c)) for c, r in itertools.pairwise(sizes)])


def activations(model, batch, seed, density=0.6):
    """A batch of int16 inputs: negative and extreme values, and zeros to skip."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-32768, 32768, (batch, model.columns))
    values = np.where(rng.random(values.shape) < 0.1, rng.choice([-32768, 32767], values.shape), values)
    return np.where(rng.random(values.shape) < density, values, 0).astype(np.int16)
