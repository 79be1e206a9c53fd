"""The fixed-point scales keep the arithmetic contract and use its bits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.compression.scaling import choose_scales, fraction_bits
from eie.errors import LayerError
from eie.network.layer_check import accumulator_bound
from eie.network.model import Layer


def layer_of(centroids, codes, bias, input_bits, peak):
    """A layer of one column block, codes of shape (R, C), with chosen scales."""
    rows, columns = np.nonzero(codes)
    scales = choose_scales(centroids, codes[rows, columns], rows.astype(np.int32), bias, input_bits, peak)
    layer = Layer.from_dense_codes(
        codes,
        scales.codebook(centroids),
        scales.bias(bias),
        scales.shift,
        input_fraction_bits=scales.input_fraction_bits,
        output_fraction_bits=scales.output_fraction_bits,
        weight_fraction_bits=scales.weight_fraction_bits,
    )
    return layer, scales


@given(st.floats(1e-30, 1e30), st.sampled_from([32767, 2**31 - 1]))
def test_fraction_bits_are_the_most_that_fit(peak, largest):
    bits = fraction_bits(peak, largest)
    assert np.ldexp(peak, bits) <= largest < np.ldexp(peak, bits + 1)


def test_fraction_bits_of_exact_powers_and_of_nothing():
    assert fraction_bits(32767.0) == 0
    assert fraction_bits(32768.0) == -1
    assert fraction_bits(1.0) == 14
    assert fraction_bits(0.0) == 0


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    weight_scale=st.floats(-12, 12),
    bias_scale=st.floats(-12, 12),
    input_bits=st.integers(-20, 40),
    peak_scale=st.floats(-12, 12),
)
def test_any_scales_obey_the_arithmetic_contract_or_are_refused(seed, weight_scale, bias_scale, input_bits, peak_scale):
    rng = np.random.default_rng(seed)
    centroids = np.append(0, np.sort(rng.standard_normal(15) * 10**weight_scale))
    codes = rng.integers(0, 16, (5, 9)).astype(np.uint8)
    bias = (rng.standard_normal(5) * 10**bias_scale).astype(np.float32)
    try:
        layer, scales = layer_of(centroids, codes, bias, input_bits, 10**peak_scale)
    except LayerError as error:
        assert "all would be 0" in str(error)
        return
    assert 0 <= layer.shift <= 47
    assert accumulator_bound(layer) < 2**47
    step = 2.0**-scales.accumulator_fraction_bits
    assert np.abs(layer.bias * step - bias).max() <= step / 2
    assert (
        np.abs(layer.codebook * 2.0**-scales.weight_fraction_bits - centroids).max()
        <= 2.0**-scales.weight_fraction_bits / 2
    )


def test_without_other_limits_weights_use_all_of_int16():
    centroids = np.append(0, np.linspace(-0.3, 0.2, 15))
    layer, _ = layer_of(centroids, np.full((3, 4), 1, np.uint8), np.zeros(3, np.float32), 12, 1.0)
    assert 2**14 <= np.abs(layer.codebook.astype(int)).max() < 2**15
    assert layer.output_fraction_bits == 14


def test_a_large_bias_takes_bits_from_the_weights():
    centroids = np.append(0, np.linspace(0.01, 0.02, 15))
    layer, scales = layer_of(centroids, np.full((1, 4), 1, np.uint8), np.full(1, 100, np.float32), 12, 100.0)
    assert 2**30 <= layer.bias[0] < 2**31
    assert scales.weight_fraction_bits == 24 - 12


def test_a_bias_that_leaves_no_weight_bits_is_refused_by_name():
    centroids = np.append(0, np.linspace(1e-6, 2e-6, 15))
    with pytest.raises(LayerError, match=r"'last'.*bias of 1e\+03"):
        choose_scales(
            centroids, np.ones(4, np.uint8), np.zeros(4, np.int32), np.full(1, 1000, np.float32), 15, 1e3, "last"
        )


def test_a_row_too_long_for_48_bits_takes_bits_from_the_weights():
    columns = 200_000
    centroids = np.append(0, np.full(15, 32767 / 2**15))
    codes = np.ones((1, columns), np.uint8)
    layer, scales = layer_of(centroids, codes, np.zeros(1, np.float32), 15, columns)
    assert scales.weight_fraction_bits == 14
    assert 2**46 <= accumulator_bound(layer) < 2**47


def test_outputs_far_above_the_accumulators_last_bit_take_bits_from_the_weights():
    centroids = np.append(0, np.linspace(0.5, 1, 15))
    layer, scales = layer_of(centroids, np.ones((1, 1), np.uint8), np.zeros(1, np.float32), 40, 1e6)
    assert layer.shift == 47 and scales.weight_fraction_bits == 47 - 5 - 40


def test_tiny_outputs_never_need_a_negative_shift():
    centroids = np.append(0, np.linspace(0.5, 1, 15))
    layer, scales = layer_of(centroids, np.ones((1, 1), np.uint8), np.zeros(1, np.float32), 0, 1e-9)
    assert layer.shift == 0 and scales.output_fraction_bits == scales.accumulator_fraction_bits


def test_a_layer_of_bias_alone_has_scales():
    layer, _ = layer_of(np.zeros(16), np.zeros((2, 3), np.uint8), np.array([0.5, -2], np.float32), 10, 4.0)
    assert np.array_equal(layer.bias * 2.0 ** -(10 + layer.weight_fraction_bits), [0.5, -2])
