"""Any torch module learns on within the masks and the shared values of its compressed model."""

import copy

import numpy as np
import pytest

import eie
from eie.errors import NetworkError

torch = pytest.importorskip("torch")

from eie.compression.finetuning import linear_layers, masked_weights, shared_weights  # noqa: E402


@pytest.fixture(scope="module")
def taught():
    """A module that has learned the sign of two sums, and its data."""
    torch.manual_seed(0)
    x = torch.randn(600, 30)
    y = (x[:, :15].sum(1) > 0).long() + 2 * (x[:, 15:].sum(1) > 0).long()
    module = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(30, 40), torch.nn.ReLU(), torch.nn.Dropout(0.1), torch.nn.Linear(40, 4)
    )
    learn(module, x, y, 60)
    return module, x, y


def learn(module, x, y, steps):
    optimiser = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(x), y)
        loss.backward()
        optimiser.step()
    return loss.item()


def loss_of(model, x, y):
    with eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=4))) as accelerator:
        accelerator.load(model)
        return float(torch.nn.functional.cross_entropy(torch.as_tensor(accelerator.run(x.numpy())), y))


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_fine_tuning_keeps_masks_and_sharing_and_beats_one_shot(taught):
    module, x, y = taught
    model = eie.compress(linear_layers(module), 0.15, x.numpy(), row_scales=False)
    with shared_weights(module, model):
        learn(module, x, y, 60)
    for (name, parameter), layer in zip(
        [(n, p) for n, p in module.named_parameters() if n.endswith("weight")], model.layers, strict=True
    ):
        weight = parameter.detach().numpy()
        assert np.array_equal(weight != 0, layer.dense_codes() != 0), name
        assert len(np.unique(weight[weight != 0])) <= 15
    tuned = eie.compress(linear_layers(module), None, x.numpy())
    assert loss_of(tuned, x, y) < 0.8 * loss_of(model, x, y)


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
@pytest.mark.parametrize("terms", [1, 2])
def test_weights_under_their_mask_learn_before_they_are_shared(taught, terms):
    module, x, y = taught
    module = copy.deepcopy(module)
    model = eie.compress(linear_layers(module), 0.15, x.numpy(), terms=terms)
    with masked_weights(module, model):
        for dense, layer in zip(linear_layers(module), model.layers, strict=True):
            assert np.allclose(dense.weight, layer.dense_weights(), rtol=1e-6)
        learn(module, x, y, 60)
    for dense, layer in zip(linear_layers(module), model.layers, strict=True):
        assert np.count_nonzero(dense.weight) == layer.kept and not dense.weight[layer.dense_integers() == 0].any()
        assert len(np.unique(dense.weight)) > 16, "they are free"
    assert loss_of(eie.compress(linear_layers(module), None, x.numpy()), x, y) < 0.8 * loss_of(model, x, y)


def test_weights_under_their_mask_learn_from_rows_of_scales_whose_values_are_not_shared():
    torch.manual_seed(0)
    module, x = (
        torch.nn.Sequential(torch.nn.Linear(30, 40), torch.nn.ReLU(), torch.nn.Linear(40, 4)),
        torch.randn(99, 30),
    )
    model = eie.compress(linear_layers(module), 1.0, x.numpy(), row_scales=True)
    assert all(layer.scaling is not None for layer in model.layers)
    with masked_weights(module, model):
        for dense, layer in zip(linear_layers(module), model.layers, strict=True):
            assert np.allclose(dense.weight, layer.dense_weights(), rtol=1e-6)
    with pytest.raises(NetworkError, match="compress with row_scales=False"), shared_weights(module, model):
        pass


def test_a_module_of_other_layers_is_refused(taught):
    module, x, _ = taught
    model = eie.compress(linear_layers(module)[:1], 0.5, x.numpy())
    with pytest.raises(NetworkError, match=r"\(40, 30\)"), shared_weights(module, model):
        pass
    with pytest.raises(NetworkError, match="without Linear"):
        linear_layers(torch.nn.ReLU())


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_convolutions_learn_on_within_their_masks_and_sharing():
    torch.manual_seed(1)
    x = torch.randn(300, 2, 6, 6)
    y = (x[:, 0].mean((1, 2)) > x[:, 1].mean((1, 2))).long()
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 8, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(), torch.nn.Linear(32, 2)
    )
    learn(module, x, y, 60)
    model = eie.compress(module, 0.15, x.numpy(), allocation="uniform", row_scales=False)
    with shared_weights(module, model):
        before = loss_of(model, x, y)
        learn(module, x, y, 60)
    for layer, held in zip(model.layers, (module[0], module[4]), strict=True):
        assert np.array_equal(held.weight.detach().numpy().reshape(layer.rows, -1) != 0, layer.dense_codes() != 0)
    assert loss_of(eie.compress(module, None, x.numpy()), x, y) < 0.8 * before
    with (
        pytest.raises(NetworkError, match="'0' has groups"),
        shared_weights(torch.nn.Sequential(torch.nn.Conv2d(2, 2, 1, groups=2)), model),
    ):
        pass
