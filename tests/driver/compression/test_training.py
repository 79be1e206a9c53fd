"""The training helper: prune, retrain with the mask, share, fine-tune; and the model that it made."""

import importlib
import sys
from itertools import pairwise

import numpy as np
import pytest

from eie.compression.compress import compress
from eie.contract.fixed_point import quantise
from eie.data import mnist
from eie.errors import MissingExtraError, NetworkError
from eie.model_file.container import load
from eie.network.reference import reference

MODEL = mnist.DATA / "lenet-300-100.eie"
NETWORK = mnist.DATA / "lenet-300-100.npz"


@pytest.fixture
def train():
    pytest.importorskip("torch", reason="needs the extra: pip install 'eie-pynq[train]'")
    from eie.compression import training as train

    return train


def toy_data(samples=600, inputs=20, classes=4):
    """Return a task that a linear layer solves."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((samples, inputs)).astype(np.float32)
    labels = (x @ rng.standard_normal((inputs, classes))).argmax(axis=1)
    return lambda epoch: (x, labels)


def accuracy(network, data):
    x, labels = data(0)
    for layer in network:
        x = x @ layer.weight.T + layer.bias
        x = np.maximum(x, 0) if layer.activation == "relu" else x
    return (x.argmax(axis=1) == labels).mean()


def total(network):
    return sum(np.count_nonzero(layer.weight) for layer in network)


@pytest.fixture
def trained(train):
    data = toy_data()
    network = train.fit(train.initialise([20, 30, 4]), data, train.Settings(10, 1e-2, 20))
    return network, data


def test_training_learns(trained):
    network, data = trained
    assert accuracy(network, data) > 0.95
    assert [layer.activation for layer in network] == ["relu", None]
    assert [layer.weight.shape for layer in network] == [(30, 20), (4, 30)]


@pytest.mark.parametrize("density", [0.05, 0.3, 1.0])
def test_pruning_reaches_exactly_the_density(train, trained, density):
    network, data = trained
    pruned = train.prune_retrain(network, data, density, train.Settings(12, 1e-2, 20))
    assert total(pruned) == round(density * (30 * 20 + 4 * 30))


def test_pruning_and_retraining_keep_the_accuracy(train, trained):
    network, data = trained
    pruned = train.prune_retrain(network, data, 0.3, train.Settings(20, 1e-2, 20))
    assert accuracy(pruned, data) > 0.93


def test_pruning_only_ever_removes_weights(train, trained):
    network, data = trained
    seen = []
    train.prune_retrain(
        network, data, 0.1, train.Settings(15, 1e-2, 20), progress=lambda *report: seen.append(report[3])
    )
    assert total(seen[0]) > total(seen[-1])
    for before, after in pairwise(seen):
        for a, b in zip(before, after, strict=True):
            assert not (b.weight[a.weight == 0]).any()
    # Retraining under the final mask moves what is left.
    assert total(seen[-1]) == total(seen[-3])
    assert any((a.weight != b.weight).any() for a, b in zip(seen[-3], seen[-2], strict=True))


def test_retraining_respects_the_mask_of_a_pruned_network(train, trained):
    network, data = trained
    pruned = train.prune_retrain(network, data, 0.2, train.Settings(10, 1e-2, 20))
    retrained = train.fit(pruned, data, train.Settings(2, 1e-2, 20))
    for a, b in zip(pruned, retrained, strict=True):
        assert np.array_equal(a.weight == 0, b.weight == 0)
        assert (a.weight != b.weight).any()


@pytest.mark.parametrize("values", [1, 4, 15])
def test_shared_values_stay_few_and_zeros_stay_zero(train, trained, values):
    network, data = trained
    pruned = train.prune_retrain(network, data, 0.3, train.Settings(10, 1e-2, 20))
    shared = train.share_finetune(pruned, data, train.Settings(3, 1e-3, 20), values)
    for a, b in zip(pruned, shared, strict=True):
        assert np.array_equal(a.weight == 0, b.weight == 0)
        assert len(np.unique(b.weight[b.weight != 0])) <= values


def test_fine_tuning_improves_on_sharing_alone(train, trained):
    network, data = trained
    pruned = train.prune_retrain(network, data, 0.3, train.Settings(10, 1e-2, 20))
    losses = []
    train.share_finetune(pruned, data, train.Settings(8, 5e-3, 20), 4, progress=lambda *r: losses.append(r[2]))
    assert losses[-1] < losses[0]


def test_rounded_biases_are_multiples_of_their_step(train, trained):
    network, data = trained
    shared = train.share_finetune(network, data, train.Settings(2, 1e-3, 20), bias_fraction_bits=4)
    for a, b in zip(network, shared, strict=True):
        assert np.array_equal(b.bias, np.round(a.bias * 16) / 16)


def test_a_shared_network_compresses_without_another_pruning_or_sharing(train, trained):
    network, data = trained
    pruned = train.prune_retrain(network, data, 0.3, train.Settings(10, 1e-2, 20))
    shared = train.share_finetune(pruned, data, train.Settings(2, 1e-3, 20))
    model = compress(shared, density=None, calibration=data(0)[0])
    for layer, dense in zip(model.layers, shared, strict=True):
        assert np.allclose(layer.dense_weights(), dense.weight, atol=np.abs(dense.weight).max() * 2**-14)


def test_the_gradient_of_a_shared_value_is_the_sum_over_its_cluster(train):
    import torch

    from eie.compression import student

    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, 5, (7, 9), generator=generator)
    values = torch.tensor([0.0, -0.5, 0.25, 0.75, 1.5], requires_grad=True)
    x = torch.randn(11, 9, generator=generator)

    weight = values.detach()[codes].requires_grad_()
    torch.tanh(x @ weight.T).square().sum().backward()
    expected = [float(weight.grad[codes == code].sum()) for code in range(1, 5)]

    torch.tanh(x @ student._Shared.apply(values, codes).T).square().sum().backward()
    assert values.grad[1:].tolist() == pytest.approx(expected, rel=1e-4)
    assert values.grad[0] == 0  # pruned weights stay 0

    def loss(code, step):
        moved = values.detach().double().clone()
        moved[code] += step
        return float(torch.tanh(x.double() @ moved[codes].T).square().sum())

    for code in range(1, 5):
        difference = (loss(code, 1e-5) - loss(code, -1e-5)) / 2e-5
        assert float(values.grad[code]) == pytest.approx(difference, rel=1e-3, abs=1e-3)


def test_sharing_finds_the_values_of_clustered_weights(train):
    rng = np.random.default_rng(1)
    centres = np.array([-0.8, -0.3, 0.2, 0.9])
    truth = rng.integers(0, 4, 1000)
    values, codes = train.share(centres[truth] + rng.normal(0, 0.01, 1000), 4)
    assert values == pytest.approx(centres, abs=0.01)
    assert np.array_equal(codes, truth)


def test_a_price_on_codes_shortens_them(train):
    weights = np.random.default_rng(2).standard_normal(5000)

    def entropy(code_cost):
        counts = np.bincount(train.share(weights, 15, code_cost)[1])
        shares = counts[counts > 0] / len(weights)
        return -(shares * np.log2(shares)).sum()

    assert entropy(0.05) < entropy(0.01) < entropy(0)


def test_the_targets_may_be_probabilities(train):
    data = toy_data()
    x, labels = data(0)
    soft = np.full((len(labels), 4), 0.02, np.float32)
    soft[np.arange(len(labels)), labels] = 0.94
    network = train.fit(train.initialise([20, 30, 4]), lambda epoch: (x, soft), train.Settings(10, 1e-2, 20))
    assert accuracy(network, data) > 0.95


def test_the_same_seed_gives_the_same_network(train):
    data = toy_data()
    first, second, other = (
        train.fit(train.initialise([20, 30, 4]), data, train.Settings(2, 1e-2, 20, seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(first[0].weight, second[0].weight)
    assert not np.array_equal(first[0].weight, other[0].weight)


@pytest.mark.parametrize("density", [0, -0.1, 1.5, float("nan")])
def test_impossible_densities_are_refused(train, trained, density):
    network, data = trained
    with pytest.raises(NetworkError, match="density"):
        train.prune_retrain(network, data, density, train.Settings(2))


@pytest.mark.parametrize("values", [0, 16])
def test_more_values_than_a_codebook_holds_are_refused(train, values):
    with pytest.raises(NetworkError, match="15"):
        train.share(np.ones(3), values)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"epochs": 1, "learning_rate": 0}, {"epochs": 1, "batch_size": 0}])
def test_settings_that_cannot_train_are_refused(train, wrong):
    with pytest.raises(NetworkError, match="above 0"):
        train.Settings(**wrong)


# The shipped model: every figure that docs/training.md states of it.


@pytest.fixture(scope="module")
def shipped():
    return load(MODEL)


def test_the_shipped_model_is_lenet_300_100(shipped):
    assert [(layer.columns, layer.rows, layer.relu) for layer in shipped.layers] == [
        (784, 300, True),
        (300, 100, True),
        (100, 10, False),
    ]


def test_the_shipped_model_keeps_at_most_5_5_percent_of_the_weights(shipped):
    weights = sum(layer.rows * layer.columns for layer in shipped.layers)
    assert weights * 4 == 1_064_800
    assert sum(layer.nonzeros for layer in shipped.layers) <= 0.055 * weights


def test_the_shipped_model_is_75_times_smaller_than_its_float32_weights():
    assert MODEL.stat().st_size <= 14_197


def test_the_shipped_model_errs_on_at_most_1_30_percent_of_all_test_images(shipped):
    digits = mnist.test_digits()
    outputs = reference(shipped, quantise(digits.inputs(), shipped.input_fraction_bits))
    wrong = int((outputs.argmax(axis=1) != digits.labels).sum())
    assert wrong <= 130  # the target; training reached 98
    assert wrong / 100 == pytest.approx(shipped.metadata["training"]["test_error"]["integer"])


def test_the_shipped_network_compresses_to_the_shipped_model(shipped):
    model = compress(str(NETWORK), density=None, calibration=mnist.calibration_digits().inputs())
    for layer, other in zip(shipped.layers, model.layers, strict=True):
        assert np.array_equal(layer.dense_codes(), other.dense_codes())
        assert layer.dense_weights() == pytest.approx(other.dense_weights(), abs=2**-10)


def test_without_pytorch_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in ("training", "student"):
        monkeypatch.delitem(sys.modules, f"eie.compression.{name}", raising=False)
    with pytest.raises(MissingExtraError, match=r"eie-pynq\[train\]"):
        importlib.import_module("eie.compression.training")
