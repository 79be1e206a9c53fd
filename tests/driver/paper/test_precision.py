"""Fixed point of any width is exact integer arithmetic, and at 16 bits the array's own."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.contract.fixed_point import quantise
from eie.data import mnist
from eie.data.mnist import NETWORK
from eie.network.readers import read_network
from eie.paper import energy, precision


@settings(max_examples=60, deadline=None)
@given(st.sampled_from((4, 8, 16, 17, 24, 32)), st.integers(0, 2**32 - 1), st.integers(1, 40), st.booleans())
def test_products_are_those_of_unbounded_integers(bits, seed, columns, extreme):
    rng = np.random.default_rng(seed)
    limit = 1 << (bits - 1)

    def integers(shape):
        return rng.choice([-limit, limit - 1, 0, -1], shape) if extreme else rng.integers(-limit, limit, shape)

    a, w = integers((3, columns)), integers((2, columns))
    high, low = precision.exact_product(a, w)
    assert low.min() >= 0 and low.max() < 1 << 32
    assert ((high.astype(object) << 32) + low == a.astype(object) @ w.T.astype(object)).all()


@settings(max_examples=60, deadline=None)
@given(st.sampled_from((5, 8, 16, 32)), st.integers(0, 2**32 - 1), st.sampled_from(("relu", None)), st.booleans())
def test_a_layer_rounds_half_up_shifts_and_saturates(bits, seed, activation, with_bias):
    rng = np.random.default_rng(seed)
    limit = 1 << (bits - 1)
    bias = rng.normal(size=4) if with_bias else None
    layer = eie.Dense(rng.normal(size=(4, 9)), bias, activation)
    a = rng.integers(-limit, limit, (3, 9))
    first, weight = bits - 2, bits - 4
    for second in (bits - 2, bits - 6, first + weight):
        got = precision.fixed_layer(layer, a, bits, (first, weight, second))
        w = precision.to_fixed(layer.weight, weight, bits).astype(object)
        sums = a.astype(object) @ w.T
        if bias is not None:
            sums = sums + np.array([round(float(b) * 2 ** (first + weight)) for b in layer.bias], object)
        shift = first + weight - second
        expected = [[(int(v) + (1 << shift >> 1)) >> shift for v in row] for row in sums]
        assert np.array_equal(got, np.clip(expected, 0 if activation else -limit, limit - 1).astype(np.int64))


def test_sixteen_bits_recognise_what_the_compressed_model_does():
    network = read_network(NETWORK)
    test, inputs = mnist.test_digits(), mnist.calibration_digits().inputs()
    digits = mnist.Digits(test.images[:500], test.labels[:500])
    formats = precision.per_tensor_formats(network, inputs, 16)
    model = eie.compress(network, None, inputs)
    outputs = eie.reference(model, quantise(digits.inputs(), model.input_fraction_bits))
    right = 100 * np.mean(outputs.argmax(axis=1) == digits.labels)
    assert precision.fixed_accuracy(network, digits, 16, formats) == pytest.approx(right, abs=0.4)
    assert precision.float_accuracy(network, digits) == pytest.approx(right, abs=0.4)
    for bits, choose, low, high in ((8, precision.per_tensor_formats, 97, 100), (6, precision.single_format, 0, 30)):
        assert low <= precision.fixed_accuracy(network, digits, bits, choose(network, inputs, bits)) <= high


def test_a_single_format_holds_the_largest_tensor():
    network = [eie.Dense([[0.1, 0.2]], None, None), eie.Dense([[30.0]], None, None)]
    formats = precision.single_format(network, np.ones((1, 2), np.float32), 8)
    assert len(set(formats.activations + formats.weights)) == 1
    assert np.abs(precision.to_fixed(network[1].weight, formats.weights[1], 8)).max() < 127


def test_energy_of_a_multiplication_is_table_1_and_falls_with_the_width():
    values = [energy.multiply_energy_pj(kind) for kind in ("float32", "int32", "int16", "int8")]
    assert values[:2] == [3.7, 3.1] and values == sorted(values, reverse=True)
    assert values[2] == pytest.approx(3.1 / 5)


def test_energy_of_a_read_is_table_1_at_its_width_and_twice_that_for_four_times_the_memory():
    assert energy.read_energy_pj(32) == pytest.approx(10)
    assert energy.read_energy_pj(64, 0) == pytest.approx(20)


def test_the_width_is_best_within_the_range_and_nowhere_else():
    reads = {32: 1000, 64: 700, 128: 560, 256: 500}
    low, high = energy.fixed_bits_range(reads, 64)

    def best(fixed):
        return min(reads, key=lambda bits: reads[bits] * energy.read_energy_pj(bits, fixed))

    assert [best(f) for f in (low * 0.99, low * 1.01, high * 0.99, high * 1.01)] == [32, 64, 64, 128]


def test_the_papers_frames_follow_from_its_own_times_and_power():
    alex7 = energy.frames(12.2 * 800)
    assert alex7["frames_per_second"] == pytest.approx(81967, rel=1e-4)
    assert alex7["frames_per_joule"] == pytest.approx(138927, rel=1e-3)
    assert energy.power_of_tables_w() == pytest.approx(0.5865, abs=1e-4)
