"""Gates that share their values: equal codebooks, multiplied together, at little cost."""

import numpy as np
import pytest

import eie
from eie.compression.report import sqnr_db
from eie.errors import NetworkError
from eie.program.recurrent import pack_recurrent

CONFIG = eie.ArrayConfig(num_pes=16)


def layer(make, columns=12, hidden=20, seed=0):
    """Return a recurrent layer whose gates differ tenfold in size."""
    rng = np.random.default_rng(seed)
    sizes = [0.3, 1.0, 3.0, 1.0][: 4 if make is eie.LSTM else 3]
    weights = [
        np.concatenate([size * rng.uniform(-0.2, 0.2, (hidden, n)) for size in sizes]) for n in (columns, hidden)
    ]
    return make(*weights, *[0.1 * rng.standard_normal(len(sizes) * hidden) for _ in range(2)])


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
@pytest.mark.parametrize("make, together", [(eie.LSTM, [4]), (eie.GRU, [2, 1, 1])])
@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("method", ["compensated", "magnitude"])
def test_they_are_multiplied_together_and_equal_the_reference(make, together, terms, method):
    x = np.random.default_rng(1).standard_normal((4, 10, 12)).astype(np.float32)
    model = eie.compress(layer(make), 0.5, x, terms=terms, method=method, shared_gates=True)
    assert [len(group.gates) for group in pack_recurrent(model, CONFIG).together] == together
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        accelerator.run(x, model=model, verify=True)


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_they_cost_little():
    x = np.random.default_rng(1).standard_normal((8, 20, 12)).astype(np.float32)
    ratios = []
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        exact = accelerator.run(x, model=eie.compress(layer(eie.LSTM), 1.0, x, terms=2, row_scales=True))
        for shared in (False, True):
            got = accelerator.run(x, model=eie.compress(layer(eie.LSTM), 1.0, x, shared_gates=shared))
            ratios.append(sqnr_db(exact, got))
    assert ratios[0] - ratios[1] < 3


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_those_with_other_numbers_of_terms_are_not():
    x = np.random.default_rng(1).standard_normal((4, 10, 12)).astype(np.float32)
    model = eie.compress(layer(eie.LSTM), 1.0, x, terms=[1, 1, 2, 2], shared_gates=True)
    assert [len(group.gates) for group in pack_recurrent(model, CONFIG).together] == [2, 2]


def test_each_keeps_its_share_of_the_weights_on_the_mean():
    x = np.random.default_rng(1).standard_normal((4, 10, 12)).astype(np.float32)
    model = eie.compress(layer(eie.LSTM), 0.25, x, shared_gates=True)
    assert sum(gate.kept for gate in model.layers) == pytest.approx(0.25 * 4 * 20 * 32, abs=4)


def test_anything_but_a_truth_value_is_refused():
    with pytest.raises(NetworkError, match="shared_gates is 1; it must be True or False"):
        eie.compress(layer(eie.LSTM), 1.0, shared_gates=1)


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_they_share_their_values_after_a_refit_through_time_too():
    x = np.random.default_rng(1).standard_normal((16, 20, 12)).astype(np.float32)
    found = {}
    for refit in (False, True):
        model = eie.compress(layer(eie.LSTM), 0.3, x, terms=2, shared_gates=True, refit=refit)
        assert [len(group.gates) for group in pack_recurrent(model, CONFIG).together] == [4]
        with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
            found[refit] = accelerator.run(x, model=model, verify=True)
    assert not np.array_equal(found[False], found[True]), "the refit was not taken"


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("make", [eie.LSTM, eie.GRU])
def test_by_magnitude_weights_of_inputs_and_of_states_are_compared_as_the_network_has_them(make, size):
    network = layer(make, columns=20, hidden=20)
    x = np.random.default_rng(1).uniform(-size, size, (4, 10, 20)).astype(np.float32)
    model = eie.compress(network, 0.25, x, method="magnitude", allocation="uniform")
    of_gate = network.in_order("ifgo" if make is eie.LSTM else "rzn")
    given = np.concatenate([of_gate[1][:20], of_gate[0][:20]], axis=1)  # [h, x] of the first gate
    kept = model.layers[0].dense_codes() > 0
    assert np.abs(given)[kept].min() >= np.abs(given)[~kept].max()
