"""The integer reference, against Python integers of any size, and the fixed-point conversions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.contract.fixed_point import dequantise, finish, quantise
from eie.errors import PackError
from tests.strategies import activations, models


def by_hand(model, a):
    """The arithmetic contract, one Python integer at a time."""
    values = [int(v) for v in a]
    for layer in model.layers:
        weights = layer.dense_integers(np.int64).tolist()
        outputs = []
        for row in range(layer.rows):
            total = sum(w * v for w, v in zip(weights[row], values, strict=True)) + int(layer.bias[row])
            if layer.scaling:
                limit = 1 << 24
                total = max(-limit, min(limit - 1, total >> layer.scaling.pre_shift)) * int(layer.scaling.scale[row])
            total = (total + (1 << (layer.shift - 1) if layer.shift else 0)) >> layer.shift
            total = max(-32768, min(32767, total))
            total = max(0, total) if layer.relu else total
            outputs.append(max(layer.scaling.low, min(layer.scaling.high, total)) if layer.scaling else total)
        values = outputs
    return values


@settings(max_examples=60, deadline=None)
@given(models(max_size=12), st.integers(0, 2**32))
def test_the_reference_is_the_contract(model, seed):
    a = activations(model, 3, seed)
    assert eie.reference(model, a).tolist() == [by_hand(model, row) for row in a]


@pytest.mark.parametrize(
    ("total", "shift", "expected"),
    [(1, 1, 1), (-1, 1, 0), (3, 1, 2), (-3, 1, -1), (5, 0, 5), (2**46, 47, 1), (-(2**46), 47, 0), (2**47, 0, 32767)],
)
def test_halves_round_up(total, shift, expected):
    assert finish(np.array([total]), shift, False).tolist() == [expected]


def test_floats_are_quantised_half_to_even_and_saturate():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e9, -1e9, np.inf])
    assert quantise(x, 0).tolist() == [0, 2, 2, 0, -2, 32767, -32768, 32767]
    assert quantise(np.float32([0.125]), 3).tolist() == [1]
    assert quantise(np.float32([64.0]), -4).tolist() == [4]
    with pytest.raises(PackError, match="NaN"):
        quantise([np.nan], 0)


@given(st.integers(-20, 30))
def test_every_int16_survives_the_way_to_float_and_back(fraction_bits):
    a = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(quantise(dequantise(a, fraction_bits), fraction_bits), a)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(-200, 200),
    st.sampled_from((np.float32, np.float64)),
    st.integers(1, 100_000),
    st.booleans(),
)
def test_quantising_block_by_block_is_the_plain_formula(seed, fraction_bits, kind, size, in_place):
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore"):
        x = np.ldexp(rng.normal(size=size) * rng.choice([1, 1000, 1e5], size), -fraction_bits).astype(kind)
        expected = np.clip(np.rint(np.ldexp(x, fraction_bits)), -32768, 32767).astype(np.int16)
    out = np.empty(size, np.int16) if in_place else None
    result = quantise(x, fraction_bits, out)
    assert np.array_equal(result, expected)
    assert out is None or result is out


@settings(max_examples=60, deadline=None)
@given(st.integers(-105, 105), st.sampled_from((np.float32, np.float64)), st.sampled_from((0.5, 0.25, 1e-3, 1.0)))
def test_every_neighbourhood_of_a_half_is_rounded_to_even(fraction_bits, kind, step):
    """Values in range alone, and with one beside them that saturates: the fast way and the general one."""
    around = np.concatenate([np.arange(-40, 40) * step, 32766 + np.arange(3) * 0.5, -32768 + np.arange(5) * 0.5])
    steps = np.concatenate(
        [around, np.nextafter(kind(around), kind(np.inf)), np.nextafter(kind(around), kind(-np.inf))]
    )
    inside = steps[(steps >= -32768) & (steps <= 32767)].astype(kind)
    for values in (inside, np.append(inside, kind(40_000))):
        expected = np.clip(np.rint(values.astype(np.float64)), -32768, 32767)
        assert np.array_equal(quantise(np.ldexp(values, -fraction_bits), fraction_bits), expected)


@pytest.mark.parametrize("place", [0, 70_000, 99_999])
def test_a_nan_is_found_in_every_block(place):
    x = np.zeros(100_000, np.float32)
    x[place] = np.nan
    with pytest.raises(PackError, match="NaN"):
        quantise(x, 8)


def test_inputs_of_the_wrong_kind_are_refused():
    model = eie.Model([eie.Layer.from_dense_codes(np.ones((2, 3)), np.arange(16))])
    with pytest.raises(PackError, match=r"shape \(1, 4\); the model takes \(batch, 3\)"):
        eie.reference(model, np.zeros((1, 4), np.int16))
    with pytest.raises(PackError, match="int64; they must be int16"):
        eie.reference(model, np.zeros((1, 3), np.int64))
