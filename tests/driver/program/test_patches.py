"""Patches of convolutions: a matrix for several output pixels computes what each of them does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.boards.board import board
from eie.network.operators.convolution import convolve
from eie.network.operators.linear import Product
from eie.network.operators.windows import Geometry
from eie.network.reference import reference_layer
from eie.program.patches import choose_patch, patch_layer


@st.composite
def convolutions(draw):
    rank = draw(st.integers(1, 2))
    sides = st.integers(1, 3)
    kernel, strides, dilations, patch = (tuple(draw(sides) for _ in range(rank)) for _ in range(4))
    outputs = tuple(draw(st.integers(1, 7)) for _ in range(rank))
    before = tuple(draw(st.integers(0, 2)) for _ in range(rank))
    return Geometry(kernel, strides, dilations, before, outputs), patch, draw(st.integers(0, 2**32 - 1))


@settings(max_examples=60)
@given(convolutions())
def test_a_patch_computes_what_its_pixels_do(case):
    geometry, patch, seed = case
    rng = np.random.default_rng(seed)
    channels, rank = int(rng.integers(1, 4)), len(patch)
    taps = int(np.prod(geometry.kernel))
    codes = rng.integers(0, 16, (3, channels * taps)) * (rng.random((3, channels * taps)) < 0.7)
    codebook = np.concatenate([[0], rng.integers(-90, 90, 15)])
    layer = eie.Layer.from_dense_codes(codes, codebook, rng.integers(-99, 99, 3), shift=2, relu=True)
    sizes = [int(rng.integers(1, 9)) for _ in range(rank)]
    x = rng.integers(-50, 50, (2, channels, *sizes)).astype(np.int16)

    class Integers(Product):
        def __init__(self, layer, side):
            self.layer, self.side = layer, side

        def patch(self, geometry):
            return self.side

        def __call__(self, vectors):
            return reference_layer(self.layer, vectors)

    one = convolve(x, geometry, Integers(layer, (1,) * rank))
    several = convolve(x, geometry, Integers(patch_layer(layer, geometry, patch), patch))
    assert np.array_equal(one, several)
    assert one.shape == (2, 3, *geometry.outputs)


def test_a_patch_of_both_directions_serves_a_small_convolution_best():
    codes = np.where(np.random.default_rng(0).random((16, 144)) < 0.3, 1, 0)
    layer = eie.Layer.from_dense_codes(codes, np.arange(16))
    geometry = Geometry((3, 3), (1, 1), (1, 1), (1, 1), (32, 32))
    patch = choose_patch(layer, geometry, eie.ArrayConfig(num_pes=64))
    assert min(patch) >= 3


@pytest.mark.parametrize("groups", [1, 32])
def test_a_patch_s_matrix_stays_on_the_array_rather_than_come_with_every_vector(groups):
    rng = np.random.default_rng(0)
    codes = np.where(rng.random((32, 32 * 9)) < 0.25, rng.integers(1, 16, (32, 32 * 9)), 0)
    if groups > 1:
        codes *= np.kron(np.eye(32, dtype=int), np.ones((1, 9), int))
    layer = eie.Layer.from_dense_codes(codes, np.arange(16))
    geometry = Geometry((3, 3), (1, 1), (1, 1), (1, 1), (25, 25))
    config = board("pynq-z2").config
    patch = choose_patch(layer, geometry, config)
    assert max(patch) > 1
    assert eie.pack(eie.Model([patch_layer(layer, geometry, patch)]), config).resident
