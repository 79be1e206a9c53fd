"""Convolutions in floats come to what the products of their vectors come to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eie.network.operators.convolution import convolve
from eie.network.operators.linear import FloatProduct, Matrix
from eie.network.operators.windows import window

RNG = np.random.default_rng(0)


class Vectors(FloatProduct):
    """A float product that sees its vectors."""

    def __init__(self, matrix):
        super().__init__(matrix)
        self.seen = 0

    def __call__(self, vectors):
        self.seen += len(vectors)
        return super().__call__(vectors)


def depthwise(channels, taps):
    weight = np.zeros((channels, channels * taps), np.float32)
    for c in range(channels):
        weight[c, c * taps : (c + 1) * taps] = RNG.standard_normal(taps)
    return Matrix(weight, RNG.standard_normal(channels).astype(np.float32), channels)


@st.composite
def convolutions(draw):
    rank = draw(st.integers(1, 2))
    several = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    kernel, strides, dilations = draw(several), draw(several), draw(several)
    pads = draw(st.lists(st.integers(-1, 3), min_size=2 * rank, max_size=2 * rank))
    sizes = draw(st.lists(st.integers(9, 12), min_size=rank, max_size=rank))
    channels, rows, batch = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 3))
    taps = int(np.prod(kernel))
    x = RNG.standard_normal((batch, channels, *sizes)).astype(np.float32)
    if draw(st.booleans()):
        return x, depthwise(channels, taps), window(sizes, kernel, strides, dilations, pads, "NOTSET")
    weight = RNG.standard_normal((rows, channels * taps)).astype(np.float32)
    bias = RNG.standard_normal(rows).astype(np.float32) if draw(st.booleans()) else None
    return x, Matrix(weight, bias), window(sizes, kernel, strides, dilations, pads, "NOTSET")


@given(convolutions())
def test_no_vectors_come_to_the_same(case):
    x, matrix, geometry = case
    slow = Vectors(matrix)
    want = convolve(x, geometry, slow)
    got = convolve(x, geometry, FloatProduct(matrix))
    assert slow.seen == len(x) * np.prod(geometry.outputs)
    assert got.shape == want.shape and got.dtype == want.dtype
    np.testing.assert_allclose(got, want, atol=1e-4)


@given(convolutions(), st.lists(st.integers(1, 3), min_size=2, max_size=2))
def test_vectors_hold_what_patches_read(case, sides):
    x, _, geometry = case
    patch = tuple(sides[: len(geometry.kernel)])
    around = 40
    wide = np.pad(x, [(0, 0), (0, 0), *[(around, around)] * len(patch)])
    want = []
    for place in np.ndindex(len(x), *geometry.patches(patch)):
        firsts = np.array(place[1:]) * patch * geometry.strides - geometry.before + around
        taps = [first + tap for first, tap in zip(firsts, geometry.taps(patch), strict=True)]
        want.append(wide[place[0]][np.ix_(range(x.shape[1]), *taps)].ravel())
    np.testing.assert_array_equal(geometry.vectors(x, patch), want)


@pytest.mark.parametrize(("pixels", "without"), [(8, True), (2, False)])
def test_few_pixels_of_many_channels_take_vectors(pixels, without):
    x = RNG.standard_normal((1, 3, pixels, pixels)).astype(np.float32)
    matrix = Matrix(RNG.standard_normal((32, 27)).astype(np.float32))
    geometry = window(x.shape[2:], [3, 3], None, None, [1, 1, 1, 1], "NOTSET")
    assert (FloatProduct(matrix).convolved(x, geometry) is not None) == without


def test_other_groups_take_vectors():
    weight = np.zeros((4, 2 * 2), np.float32)
    x = np.ones((1, 4, 8), np.float32)
    geometry = window([8], [1], None, None, None, "NOTSET")
    assert FloatProduct(Matrix(weight, None, 2)).convolved(x, geometry) is None
