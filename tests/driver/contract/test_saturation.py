"""What is lost to saturation, against the definition in rational numbers."""

from fractions import Fraction
from math import floor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eie.contract.config import PRE_SHIFTS, SCALED_BITS
from eie.contract.fixed_point import finish, finish_scaled
from eie.contract.functions import CURVES, Operation, elementwise, lost_results
from eie.contract.saturation import lost_outputs, lost_scaled_outputs

LIMIT = 1 << SCALED_BITS - 1
INT16 = st.integers(-32768, 32767)


@st.composite
def sums_and_shift(draw):
    """Sums near what matters: the ends of int16, halves beyond them, anything."""
    shift = draw(st.integers(0, 30))
    near = st.builds(lambda end, off: (end << shift) + off, st.sampled_from((-32769, -32768, 32767, 32768)), INT16)
    half = st.builds(lambda end, off: (end << shift) + (1 << shift >> 1) + off, INT16, st.integers(-1, 1))
    return draw(st.lists(st.one_of(near, half, st.integers(-1 << 47, (1 << 47) - 1)), min_size=1, max_size=20)), shift


def beyond(value, shift):
    exact = Fraction(value, 1 << shift)
    return floor(exact + Fraction(1 if shift else 0, 2)) > 32767 or exact < -32768


@given(sums_and_shift(), st.booleans())
def test_an_output_beyond_int16_is_lost_unless_relu_makes_it_0(sums_and_shift, relu):
    sums, shift = sums_and_shift
    expected = sum(beyond(s, shift) and not (relu and s < 0) for s in sums)
    array = np.array(sums, np.int64)
    assert lost_outputs(array, shift, relu, finish(array, shift, relu)) == expected


@given(sums_and_shift(), st.sampled_from(PRE_SHIFTS), INT16, st.booleans(), INT16, INT16)
def test_a_scaled_output_is_lost_also_if_its_sum_does_not_fit_and_never_if_it_is_clipped(
    sums_and_shift, pre_shift, scale, relu, low, high
):
    sums, shift = sums_and_shift
    expected = 0
    for s in sums:
        operand = max(-LIMIT, min(LIMIT - 1, s >> pre_shift))
        product = operand * scale
        lost = (beyond(product, shift) or operand != s >> pre_shift) and not (relu and product < 0)
        output = int(finish(np.array([product]), shift, relu)[0])
        expected += lost and low <= output <= high
    array, scales = np.array(sums, np.int64), np.full(len(sums), scale, np.int16)
    outputs = finish_scaled(array, scales, pre_shift, shift, relu, low, high)
    assert lost_scaled_outputs(array, scales, pre_shift, shift, relu, low, high, outputs) == expected


@given(st.sampled_from(Operation), st.lists(st.tuples(INT16, INT16), min_size=1, max_size=20), st.integers(0, 31))
def test_results_are_lost_but_for_those_of_curves(operation, pairs, shift):
    a, b = np.array(pairs, np.int16).T
    exact = {
        Operation.COPY: lambda a, b: b,
        Operation.ADD: lambda a, b: a + b,
        Operation.SUBTRACT: lambda a, b: a - b,
        Operation.MAXIMUM: max,
        Operation.MULTIPLY: lambda a, b: a * b,
    }
    expected = 0 if operation in CURVES else sum(beyond(exact[operation](*pair), shift) for pair in pairs)
    assert lost_results(operation, a, b, shift, elementwise(operation, a, b, shift)) == expected
