"""A target takes the place of a density."""

import itertools
import warnings

import numpy as np
import pytest

import eie
from eie.compression.report import CompressionReport
from eie.errors import AccuracyWarning, NetworkError

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((300, 5)) @ RNG.standard_normal((5, 40)) + 0.3 * RNG.standard_normal((300, 40))).astype("f4")
NETWORK = [
    eie.Dense(RNG.standard_normal((30, 40)) * 0.2, None, "relu", "first"),
    eie.Dense(RNG.standard_normal((10, 30)) * 0.2, None, None, "last"),
]


def sqnr(model):
    return CompressionReport.from_dict(model.metadata["compression"]).output_sqnr_db


def kept(model):
    return sum(layer.nonzeros for layer in model.layers)


def test_the_smallest_model_that_keeps_an_sqnr_is_found():
    model = eie.compress(NETWORK, calibration=X, target_sqnr=15)
    assert sqnr(model) >= 15
    fewer = eie.compress(NETWORK, 0.8 * kept(model) / 1500, X)
    assert sqnr(fewer) < 15.5 and kept(fewer) < kept(model) < 1500
    assert model.metadata["compression"]["target_sqnr"] == 15


def test_the_largest_model_that_fits_a_size_is_found(tmp_path):
    model = eie.compress(NETWORK, calibration=X, target_size=1500)
    assert 1300 < eie.save(model, tmp_path / "model.eie") <= 1500


def test_targets_are_found_in_layers_of_which_the_least_density_is_no_weight():
    tiny = [eie.Dense(RNG.standard_normal((4, 40)), name="tiny"), eie.Dense(RNG.standard_normal((1, 4)), name="one")]
    ways = ({"calibration": X}, {"calibration": X, "allocation": "uniform"}, {"allocation": "magnitude"}, {})
    for options, network in itertools.product(ways, (tiny, tiny[:1], tiny[1:])):
        given = dict(options)
        if "calibration" in given:
            given["calibration"] = X[:, : network[0].weight.shape[1]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AccuracyWarning)
            assert min(layer.nonzeros for layer in eie.compress(network, target_size=1100, **given).layers) >= 1
            assert sqnr(eie.compress(network, target_sqnr=8, **given)) >= 8


def test_targets_that_cannot_be_met_are_refused_with_what_can():
    with pytest.raises(NetworkError, match="reaches"):
        eie.compress(NETWORK, calibration=X, target_sqnr=70)
    with pytest.raises(NetworkError, match="still takes"):
        eie.compress(NETWORK, calibration=X, target_size=100)


@pytest.mark.parametrize(
    "options", [{"density": 0.5, "target_sqnr": 20}, {"target_sqnr": 20, "target_size": 9}, {"target_sqnr": -1}]
)
def test_two_targets_or_an_impossible_one_are_refused(options):
    with pytest.raises(NetworkError, match="target"):
        eie.compress(NETWORK, calibration=X, **options)
