"""Element-wise functions: exact where they can be, and the curves within a thousandth of their range."""

import hashlib

import numpy as np
import pytest

from eie import ArrayConfig
from eie.contract.config import SCALE_BITS, SCALED_BITS
from eie.contract.functions import (
    CURVE_SHIFT,
    OFFSETS,
    SEGMENTS,
    SIGMOID_INPUT_BITS,
    SLOPES,
    TANH_INPUT_BITS,
    Operation,
    elementwise,
    segment,
)
from eie.contract.isa import ELEMENTWISE, ErrorCode, layout

EVERY_INPUT = np.arange(-32768, 32768).astype(np.int16)
FUNCTIONS = {
    Operation.SIGMOID: (lambda x: 1 / (1 + np.exp(-x)), 1, SIGMOID_INPUT_BITS),
    Operation.TANH: (np.tanh, 2, TANH_INPUT_BITS),
}


@pytest.mark.parametrize("operation", FUNCTIONS, ids=lambda operation: operation.name)
def test_a_curve_is_within_a_thousandth_of_its_range_for_every_input(operation):
    function, output_range, bits = FUNCTIONS[operation]
    outputs = elementwise(operation, EVERY_INPUT, EVERY_INPUT, CURVE_SHIFT) / 2.0**15
    errors = outputs - function(EVERY_INPUT / 2.0**bits)
    assert np.abs(errors).max() <= output_range * 2.0**-11
    assert np.diff(outputs).min() >= -2 * 2.0**-15, "as good as monotone"


def test_tanh_of_nothing_is_nothing():
    assert elementwise(Operation.TANH, np.zeros(1, np.int16), np.zeros(1, np.int16), CURVE_SHIFT) == 0


def test_no_line_is_saturated_by_the_multiplier():
    x = EVERY_INPUT.astype(np.int64)
    operands = x + np.array(OFFSETS)[segment(x)]
    assert np.abs(operands).max() < 1 << SCALED_BITS - 1
    assert min(SLOPES) > 0 and max(SLOPES) < 1 << SCALE_BITS - 1
    assert set(segment(x).tolist()) == set(range(SEGMENTS))


def test_the_table_is_the_same_on_every_machine():
    assert hashlib.sha256(str((OFFSETS, SLOPES)).encode()).hexdigest()[:16] == "894dc02b349bcb99"
    assert layout()[-2:] == [OFFSETS, SLOPES], "part of the build hash"


def test_sums_products_and_maxima_are_rounded_and_saturated():
    a = np.array([32767, -32768, 3, -3, 100], np.int16)
    b = np.array([32767, -32768, -1, 2, 7], np.int16)
    assert elementwise(Operation.COPY, a, b, 1).tolist() == [16384, -16384, 0, 1, 4]
    assert elementwise(Operation.ADD, a, b, 0).tolist() == [32767, -32768, 2, -1, 107]
    assert elementwise(Operation.ADD, a, b, 1).tolist() == [32767, -32768, 1, 0, 54]
    assert elementwise(Operation.SUBTRACT, a, b, 0).tolist() == [0, 0, 4, -5, 93]
    assert elementwise(Operation.MAXIMUM, a, b, 0).tolist() == [32767, -32768, 3, 2, 100]
    assert elementwise(Operation.MULTIPLY, a, b, 15).tolist() == [32766, 32767, 0, 0, 0]


@pytest.mark.parametrize(
    "source, address, count, wanted",
    [
        (0, 0, 4, ErrorCode.NONE),
        (0, 4, 4, ErrorCode.NONE),
        (4, 0, 4, ErrorCode.NONE),
        (0, 3, 4, ErrorCode.OUT_OF_RANGE),
        (3, 0, 4, ErrorCode.OUT_OF_RANGE),
        (15, 0, 2, ErrorCode.OUT_OF_RANGE),
        (0, 15, 2, ErrorCode.OUT_OF_RANGE),
        (0, 0, 0, ErrorCode.BAD_FIELD),
    ],
)
def test_ranges_that_overlap_without_being_the_same_are_refused(source, address, count, wanted):
    config = ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64)
    word = ELEMENTWISE.encode(operation=1, shift=0, source=source, address=address, count=count)
    assert ELEMENTWISE.check(config, word) is wanted
    assert ELEMENTWISE.check(config, word | 7 << 8) is ErrorCode.BAD_FIELD, "no such operation"
