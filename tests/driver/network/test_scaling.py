"""Row scales are checked against the hardware's widths, and follow their rows."""

import numpy as np
import pytest

import eie
from eie.errors import LayerError

BAD = {
    "a scale beyond int16": ({"scale": [1, 32768]}, "scales from 1 to 32768 do not fit int16; lower the shift"),
    "fractions": ({"scale": [0.5]}, "scale is float64"),
    "a matrix": ({"scale": [[1]]}, "one for each row"),
    "a shift between": ({"scale": [1], "pre_shift": 4}, "pre_shift 4 is not one of 0, 8, 16, 24"),
    "a range without 0": ({"scale": [1], "low": 1}, "cannot be clipped to 1..32767; 0 must lie within"),
    "a range beyond int16": ({"scale": [1], "high": 32768}, "both ends within -32768..32767"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_hardware_cannot_do_is_refused(name):
    values, message = BAD[name]
    with pytest.raises(LayerError, match=message.replace(".", r"\.")):
        eie.Scaling(**values)


def test_a_layer_wants_a_scale_for_each_row():
    codes, codebook = np.ones((3, 2)), np.arange(16)
    with pytest.raises(LayerError, match="2 row scales; there must be one for each row"):
        eie.Layer.from_dense_codes(codes, codebook, scaling=eie.Scaling([1, 2]))


def test_rows_are_scaled_rounded_half_up_and_clipped_each_by_its_own():
    codes = np.ones((4, 1))
    scaling = eie.Scaling([1, 3, -1, 100], low=-2, high=7)
    layer = eie.Layer.from_dense_codes(codes, np.arange(16), shift=1, scaling=scaling)
    outputs = eie.reference(eie.Model([layer]), np.array([[3], [-3]], np.int16))
    assert outputs.tolist() == [[2, 5, -1, 7], [-1, -2, 2, -2]]


def test_a_reordered_scaling_has_the_scales_of_its_rows():
    scaling = eie.Scaling([5, 6, 7], 8, -1, 1)
    assert scaling.reordered(np.array([2, 0, 1])) == eie.Scaling([7, 5, 6], 8, -1, 1)
    assert scaling != eie.Scaling([5, 6, 7], 8, -1, 2)
