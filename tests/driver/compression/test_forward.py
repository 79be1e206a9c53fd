"""The block-wise forward passes equal their plain formulas."""

import numpy as np
import pytest

from eie.compression import forward
from eie.network.model import Layer
from eie.network.reference import reference_layer
from eie.network.term import Term


@pytest.fixture(params=[1, 50, 1 << 21])
def block(request, monkeypatch):
    monkeypatch.setattr(forward, "_BLOCK", request.param)


@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("relu", [False, True])
def test_the_integer_pass_equals_the_reference(block, relu, terms):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 16, (23, 17)).astype(np.uint8)
    codebook = np.append(0, rng.integers(-(2**15), 2**15, 15))
    second = Term.from_dense_codes(rng.integers(0, 16, (23, 17)), codebook) if terms == 2 else None
    layer = Layer.from_dense_codes(codes, codebook, rng.integers(-(2**31), 2**31, 23), 17, relu, second=second)
    a = rng.integers(-(2**15), 2**15, (9, 17)).astype(np.int16)
    assert np.array_equal(forward.forward_integer(a, layer.dense_integers(), layer), reference_layer(layer, a))


@pytest.mark.parametrize("relu", [False, True])
def test_the_float_passes_equal_dense_products(block, relu):
    rng = np.random.default_rng(2)
    weight, bias = rng.standard_normal((23, 17)).astype(np.float32), rng.standard_normal(23).astype(np.float32)
    mask, x = rng.random((23, 17)) < 0.3, rng.standard_normal((9, 17)).astype(np.float32)
    codes, centroids = rng.integers(0, 16, (23, 17)).astype(np.uint8), np.append(0, rng.standard_normal(15))

    def plain(w, b):
        y = x @ w.T + b
        return np.maximum(y, 0) if relu else y

    assert np.allclose(forward.forward_pruned(x, weight, mask, bias, relu), plain(weight * mask, bias), atol=1e-5)
    assert np.allclose(forward.forward_pruned(x, weight, mask, None, relu), plain(weight * mask, 0), atol=1e-5)
    assert np.allclose(
        forward.forward_shared(x, codes, centroids, bias, relu), plain(centroids[codes], bias), atol=1e-5
    )


@pytest.mark.parametrize("vectors", [0, 9])
def test_groups_are_multiplied_by_themselves_with_the_same_result(vectors):
    rng = np.random.default_rng(3)
    codes = np.kron(np.eye(4, dtype=np.uint8), np.ones((3, 5), np.uint8)) * rng.integers(1, 16, (12, 20))
    layer = Layer.from_dense_codes(codes.astype(np.uint8), np.append(0, rng.integers(-999, 999, 15)), np.arange(12), 9)
    a = rng.integers(-(2**15), 2**15, (vectors, 20)).astype(np.int16)
    assert np.array_equal(forward.forward_integer(a, layer.dense_integers(), layer, 4), reference_layer(layer, a))


def test_the_reference_takes_more_vectors_than_it_multiplies_together():
    rng = np.random.default_rng(4)
    layer = Layer.from_dense_codes(rng.integers(0, 16, (5, 7)).astype(np.uint8), np.arange(16) * 99, np.arange(5), 7)
    a = rng.integers(-(2**15), 2**15, (2500, 7)).astype(np.int16)
    assert np.array_equal(forward.forward_integer(a, layer.dense_integers(), layer), reference_layer(layer, a))
