"""Rows that nobody reads go, and the network computes what it did."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie
from eie.data.mnist import DATA, test_digits
from eie.errors import LayerError
from eie.network.unused import without_unused_rows
from tests.strategies import activations, models


def read_columns(layer):
    """Return the columns of a layer that have a weight in some term."""
    return set(np.concatenate([term.column_indices() for term in layer.terms]).tolist())


@given(models(max_layers=4, max_size=40), st.integers(0, 2**32))
def test_outputs_are_those_of_the_given_network_and_every_hidden_row_left_is_read(model, seed):
    smaller = without_unused_rows(model)
    a = activations(model, 5, seed)
    assert np.array_equal(eie.reference(smaller, a), eie.reference(model, a))
    for layer in smaller.layers[1:]:
        assert len(read_columns(layer)) == layer.columns or layer.columns == 1
    assert without_unused_rows(smaller) is smaller


def test_rows_go_that_only_unread_rows_read_and_scales_and_second_terms_follow():
    codebook = np.arange(16)
    first = np.array([[1, 0], [2, 3], [0, 4]])
    hidden = np.array([[5, 0, 0], [0, 6, 0], [0, 0, 7]])
    last = np.array([[8, 0, 0]])
    second = eie.Term.from_dense_codes(np.array([[0, 0, 9]]), codebook)
    scaling = eie.Scaling(np.array([10, 20, 30]))
    model = eie.Model(
        [
            eie.Layer.from_dense_codes(first, codebook),
            eie.Layer.from_dense_codes(hidden, codebook, bias=np.array([1, 2, 3]), scaling=scaling, shift=3),
            eie.Layer.from_dense_codes(last, codebook, second=second),
        ]
    )
    smaller = without_unused_rows(model)
    assert [(layer.rows, layer.columns) for layer in smaller.layers] == [(2, 2), (2, 2), (1, 2)]
    assert smaller.layers[0].row_indices.tolist() == [0, 1]
    assert smaller.layers[1].bias.tolist() == [1, 3]
    assert smaller.layers[1].scaling.scale.tolist() == [10, 30]
    a = np.array([[3, -4], [5, 6]], np.int16)
    assert np.array_equal(eie.reference(smaller, a), eie.reference(model, a))


def test_a_layer_of_which_nothing_is_read_keeps_a_row():
    rows = [np.ones((4, 3), int), np.zeros((2, 4), int)]
    model = eie.Model([eie.Layer.from_dense_codes(codes, np.arange(16)) for codes in rows])
    smaller = without_unused_rows(model)
    assert [(layer.rows, layer.columns) for layer in smaller.layers] == [(1, 3), (2, 1)]
    a = np.ones((1, 3), np.int16)
    assert np.array_equal(eie.reference(smaller, a), eie.reference(model, a))


def test_the_shipped_network_loses_unread_rows_and_answers_as_before(tmp_path):
    model = eie.load(DATA / "lenet-300-100.eie")
    smaller = without_unused_rows(model)
    assert model.layers[0].rows - smaller.layers[0].rows == 125
    x = test_digits().inputs()[:50]
    with eie.Accelerator(eie.EmulatedDevice()) as accelerator:
        assert np.array_equal(accelerator.run(x, model=model), accelerator.run(x, model=smaller))
    for name, network in (("given", model), ("smaller", smaller)):
        eie.save(network, tmp_path / f"{name}.eie")
    assert (tmp_path / "smaller.eie").stat().st_size < (tmp_path / "given.eie").stat().st_size


def test_what_is_no_model_is_refused():
    with pytest.raises(LayerError, match="model is"):
        without_unused_rows("lenet.eie")
