"""A run tells what saturated: the inputs and each layer's outputs, once as a warning."""

import warnings

import numpy as np
import pytest

import eie
from eie.errors import AccuracyWarning


def accelerator(network, calibration=None):
    acc = eie.Accelerator("emulated")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        acc.load(eie.compress(network, 1.0, calibration, sharing="linear"))
    return acc


def test_inputs_beyond_those_of_the_calibration_are_counted_and_warned_of_once():
    with accelerator([eie.Dense(np.eye(3), name="fc")]) as acc:
        with pytest.warns(AccuracyWarning, match=r"3 inputs.*outputs of layer 'fc'.*calibrate with typical inputs"):
            y = acc.run([100.0, 200.0, 250.0], verify=True)
        assert y.max() < 8.1  # what no verification shows
        assert acc.saturation.inputs == 3
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            acc.run([100.0, 200.0, 250.0])
        assert acc.saturation.inputs == 3
        acc.run([1.0, 2.0, -3.0])
        assert acc.saturation.known == 0


def test_layers_between_are_counted_where_they_are_verified():
    network = [eie.Dense(np.eye(4) * 3, activation="relu", name="a"), eie.Dense(np.eye(4) / 100, name="b")]
    with accelerator(network, np.ones((4, 4))) as acc:
        with pytest.warns(AccuracyWarning, match="4 outputs of layer 'a'"):
            acc.run(np.full((1, 4), 1.99999), verify=True)
            acc.run(np.full((1, 4), 50.0), verify=True)
        assert acc.saturation.outputs[0] == 4
        acc.run(np.full((1, 4), 50.0))
        assert acc.saturation.outputs[0] is None and acc.saturation.inputs == 4
