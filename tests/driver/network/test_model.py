"""`Dense`, `Layer` and `Model`: what they hold and what they refuse."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings

import eie
from eie.errors import LayerError
from eie.network.layer_check import accumulator_bound
from tests.strategies import layers


def layer(**changes):
    good = {
        "rows": 3,
        "columns": 2,
        "column_starts": [0, 2, 3],
        "row_indices": [0, 2, 1],
        "codes": [1, 15, 3],
        "codebook": np.arange(16),
        "bias": [0, 0, 0],
        "shift": 0,
        "relu": False,
    }
    return eie.Layer(**{k: np.asarray(v) if isinstance(v, list) else v for k, v in (good | changes).items()})


def test_codes_are_stored_by_column():
    assert layer().dense_codes().tolist() == [[1, 0], [0, 3], [15, 0]]
    assert layer().nonzeros == 3
    assert layer().density == 0.5
    assert layer(weight_fraction_bits=1).dense_weights().tolist() == [[0.5, 0], [0, 1.5], [7.5, 0]]


@settings(max_examples=50, deadline=None)
@given(layers(max_size=30))
def test_dense_codes_round_trip(random_layer):
    codes = random_layer.dense_codes()
    again = eie.Layer.from_dense_codes(codes, random_layer.codebook)
    assert np.array_equal(again.dense_codes(), codes)
    assert np.array_equal(again.column_starts, random_layer.column_starts)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"column_starts": [0, 2]}, "column_starts has shape"),
        ({"column_starts": [0, 3, 2]}, "must ascend"),
        ({"column_starts": [1, 2, 3]}, "must ascend from 0"),
        ({"codes": [1, 2]}, "there are 2 codes"),
        ({"row_indices": [2, 0, 1]}, "ascend strictly"),
        ({"row_indices": [0, 0, 1]}, "ascend strictly"),
        ({"row_indices": [0, 3, 1]}, "out of range"),
        ({"row_indices": [-1, 2, 1]}, "out of range"),
        ({"codes": [0, 1, 2]}, "1 to 15"),
        ({"codes": [16, 1, 2]}, "1 to 15"),
        ({"codes": [1.5, 1, 2]}, "must hold integers"),
        ({"codebook": np.arange(15)}, "codebook has shape"),
        ({"codebook": np.arange(1, 17)}, "must be 0"),
        ({"codebook": np.arange(16) * 5000}, "outside int16"),
        ({"bias": [0, 0]}, "bias has shape"),
        ({"bias": [0, 2**31, 0]}, "does not fit int32"),
        ({"shift": 48}, "shift 48 is outside 0..47"),
        ({"shift": -1}, "shift -1"),
        ({"rows": 0, "bias": np.zeros(0, int)}, "at least 1"),
    ],
)
def test_a_broken_layer_is_refused(changes, text):
    with pytest.raises(LayerError, match=text):
        layer(**changes)


def test_the_last_column_of_one_may_restart_below_the_next():
    assert layer(column_starts=[0, 1, 3], row_indices=[2, 0, 1]).dense_codes().tolist() == [[0, 15], [0, 3], [1, 0]]


def test_an_accumulator_that_could_overflow_is_refused_just_where_it_could():
    codebook = np.r_[0, [-32768] * 15]
    columns = 2**17  # 2**17 * 2**15 * 2**15 = 2**47
    fits = eie.Layer.from_dense_codes(np.ones((1, columns - 1)), codebook)
    assert accumulator_bound(fits) == 2**47 - 2**30
    with pytest.raises(LayerError, match="beyond 48 bits"):
        eie.Layer.from_dense_codes(np.ones((1, columns)), codebook)
    with pytest.raises(LayerError, match="beyond 48 bits"):
        eie.Layer.from_dense_codes(np.ones((1, columns - 1)), codebook, bias=[2**30])


def test_the_arrays_of_a_layer_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        layer().codes[0] = 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"weight": np.zeros(3)}, "must be"),
        ({"weight": np.zeros((0, 3))}, "neither 0"),
        ({"weight": [[np.nan]]}, "NaN"),
        ({"weight": [[1.0]], "bias": [1.0, 2.0]}, r"1 rows need \(1,\)"),
        ({"weight": [[1.0]], "bias": [np.inf]}, "infinity"),
        ({"weight": [[1.0]], "activation": "tanh"}, "'tanh' is not supported"),
    ],
)
def test_a_broken_dense_layer_is_refused(arguments, text):
    with pytest.raises(LayerError, match=text):
        eie.Dense(**arguments)


def test_layers_of_a_model_must_fit_together():
    with pytest.raises(LayerError, match="a model of 0 layers; it needs 1 to"):
        eie.Model([])
    with pytest.raises(LayerError, match="layer 0 has 3 rows but layer 1 has 2 columns"):
        eie.Model([layer(), layer()])
    square = layer(columns=3, column_starts=[0, 1, 2, 3], row_indices=[0, 1, 2], input_fraction_bits=4)
    with pytest.raises(LayerError, match="fraction bits"):
        eie.Model([layer(output_fraction_bits=3), square])


def test_the_weights_of_a_layer_of_two_terms_are_their_sums():
    first, second = np.array([[1, 0, 2], [0, 0, 3]]), np.array([[1, 4, 0], [0, 0, 5]])
    low, high = np.arange(16) * 16, np.arange(16)
    sums = eie.Layer.from_dense_codes(
        first, low, second=eie.Term.from_dense_codes(second, high), weight_fraction_bits=3
    )
    wanted = [[17, 4, 32], [0, 0, 53]]
    assert sums.dense_integers().tolist() == wanted
    assert (sums.dense_weights() * 8).tolist() == wanted
    assert (sums.nonzeros, sums.kept, sums.density) == (6, 4, 4 / 6)
    assert [term.codes.tolist() for term in sums.terms] == [[1, 2, 3], [1, 4, 5]]


def test_a_second_term_is_checked_as_the_first_is():
    single = eie.Layer.from_dense_codes(np.ones((2, 3)), np.arange(16), name="fc")
    with pytest.raises(LayerError, match=r"'fc'.*second term: column_starts has shape"):
        dataclasses.replace(single, second=eie.Term.from_dense_codes(np.ones((2, 4)), np.arange(16)))
    with pytest.raises(LayerError, match=r"'fc'.*second term: row indices 0..2"):
        dataclasses.replace(single, second=eie.Term.from_dense_codes(np.ones((3, 3)), np.arange(16)))
    with pytest.raises(LayerError, match="entry 0 is 7"):
        dataclasses.replace(single, second=eie.Term.from_dense_codes(np.ones((2, 3)), np.arange(7, 23)))


def test_both_terms_count_towards_the_accumulators_bound():
    columns = 1 << 17
    single = eie.Layer.from_dense_codes(np.ones((1, columns)), np.r_[0, np.full(15, 32767)])
    with pytest.raises(LayerError, match="beyond 48 bits"):
        dataclasses.replace(single, second=single.terms[0])


def test_weights_of_a_dense_layer_lie_in_one_order_of_memory_whatever_they_were_given_in():
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    for array in (weight, np.asfortranarray(weight), weight.astype(np.float64).T.copy().T):
        found = eie.Dense(array).weight
        assert found.flags.c_contiguous and np.array_equal(found, weight)
