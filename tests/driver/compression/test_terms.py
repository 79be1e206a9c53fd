"""A second term where it is asked for, or where 15 shared values cost most."""

import numpy as np
import pytest

import eie
from eie.compression.least_squares import least_squares
from eie.compression.recipe import Recipe
from eie.compression.report import CompressionReport
from eie.compression.terms import terms_by_loss
from eie.errors import AccuracyWarning, NetworkError

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((300, 6)) @ RNG.standard_normal((6, 40)) + 0.3 * RNG.standard_normal((300, 40))).astype("f4")
NETWORK = [
    eie.Dense(RNG.standard_normal((30, 40)) * 0.2, RNG.standard_normal(30) * 0.1, "relu", "first"),
    eie.Dense(RNG.standard_normal((10, 30)) * 0.2, None, None, "last"),
]


def report(model):
    return CompressionReport.from_dict(model.metadata["compression"])


def terms(model):
    return [len(layer.terms) for layer in model.layers]


@pytest.mark.parametrize("method", ["compensated", "magnitude"])
@pytest.mark.parametrize("effort", ["fast", "thorough"])
def test_two_terms_keep_the_outputs_to_40_db(method, effort):
    one, two = (eie.compress(NETWORK, 1.0, X, method=method, effort=effort, terms=number) for number in (1, 2))
    assert terms(one) == [1, 1] and terms(two) == [2, 2]
    assert report(one).output_sqnr_db < 35 and report(two).output_sqnr_db > 40
    assert [row.terms for row in report(two).layers] == [2, 2]
    assert [row.density for row in report(two).layers] == [1, 1]
    assert "2 x 4+" in report(two).table()


def test_a_model_of_two_terms_runs_and_is_kept_by_its_file(tmp_path):
    model = eie.compress(NETWORK, 0.5, X, terms=2)
    assert [layer.kept for layer in model.layers] == [row.kept for row in report(model).layers]
    assert sum(layer.kept for layer in model.layers) == 750
    eie.save(model, tmp_path / "model.eie")
    loaded = eie.load(tmp_path / "model.eie")
    assert loaded == model
    raw = RNG.integers(-3000, 3000, (5, 40)).astype(np.int16)
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        assert np.array_equal(accelerator.run_raw(raw, model=loaded), eie.reference(model, raw))


def test_weights_of_an_int8_network_are_kept_exactly():
    integers = RNG.integers(-127, 128, (30, 40))
    layer = eie.Dense(integers * np.float32(0.0123), None, None, "int8")
    model = eie.compress(layer, None, X, terms=2)
    assert report(model).layers[0].weight_sqnr_db > 80
    with pytest.warns(AccuracyWarning, match="terms=2"):
        eie.compress(layer, None, X)


def test_a_layer_that_15_values_serve_has_one_term():
    few = eie.Dense(RNG.integers(-7, 8, (30, 40)) * 0.1, None, "relu", "few")
    assert terms(eie.compress([few, NETWORK[1]], None, X, terms=2)) == [1, 2]


def test_terms_go_where_sharing_costs_most():
    recipe = Recipe.of(1.0, True, None, None, "auto", "kmeans", "loss", 2.0)
    weights = [NETWORK[0].weight, NETWORK[0].weight[:20], np.sign(NETWORK[0].weight)]

    def chosen(*importances):
        pairs = zip(weights, importances, strict=True)
        tasks = [least_squares(w, None, X, X, np.full(len(w), importance)) for w, importance in pairs]
        return terms_by_loss(tasks, weights, [None] * 3, recipe)

    assert chosen(1, 1e-6, 1) == [2, 1, 1]
    assert chosen(1e-6, 1, 1) == [1, 2, 1]
    assert chosen(1, 1, 1) == [2, 2, 1], "two values need no second term"


def test_terms_by_loss_lose_little_against_two_everywhere():
    found, everywhere = (eie.compress(NETWORK, 1.0, X, terms=number) for number in ("loss", 2))
    assert report(found).output_sqnr_db > report(everywhere).output_sqnr_db - 6


def test_terms_are_given_for_all_layers_or_by_name_or_one_each():
    assert terms(eie.compress(NETWORK, 1.0, X, terms=[2, 1])) == [2, 1]
    assert terms(eie.compress(NETWORK, 1.0, X, terms={"last": 2})) == [1, 2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(3, "must be 1 or 2"), ("more", "loss"), ([1], "1 values for 2"), ({"no": 2}, "'no'"), (True, "1 or 2")],
)
def test_other_terms_are_refused(wrong, message):
    with pytest.raises(NetworkError, match=message):
        eie.compress(NETWORK, 1.0, X, terms=wrong)


def test_terms_by_loss_need_a_calibration():
    with pytest.raises(NetworkError, match="calibration"):
        eie.compress(NETWORK, 1.0, terms="loss")
