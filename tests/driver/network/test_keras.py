"""Keras 3's own ONNX exports, read and run: skipped, saying so, where Keras with PyTorch under it is not installed."""

import importlib.util
import os

import numpy as np
import pytest

import eie

if any(importlib.util.find_spec(name) is None for name in ("keras", "torch", "onnxscript")):
    pytest.skip("keras, torch and onnxscript make these networks; one is not installed", allow_module_level=True)
os.environ.setdefault("KERAS_BACKEND", "torch")
import keras
from keras import layers

NETWORKS = {
    "fully connected": (
        (12,),
        lambda: [
            layers.Dense(16, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(5, "softmax"),
        ],
    ),
    "convolutions": (
        (12, 12, 2),
        lambda: [
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3),
            layers.LeakyReLU(),
            layers.Conv2DTranspose(4, 2, strides=2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3),
        ],
    ),
    "convolutions over time": (
        (20, 3),
        lambda: [
            layers.Conv1D(8, 3, strides=2, activation="gelu"),
            layers.SeparableConv1D(6, 3),
            layers.Flatten(),
            layers.Dense(3),
        ],
    ),
    "recurrent layers": (
        (5, 4),
        lambda: [
            layers.Bidirectional(layers.LSTM(8, return_sequences=True)),
            layers.GRU(6),
            layers.Dense(3, "tanh"),
        ],
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETWORKS)
def test_an_export_computes_what_keras_does(name, tmp_path):
    shape, make = NETWORKS[name]
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input(shape), *make()])
    x = np.random.default_rng(0).standard_normal((6, *shape)).astype(np.float32)
    want = keras.ops.convert_to_numpy(network(x))
    network.export(tmp_path / "net.onnx", format="onnx", verbose=False)
    model = eie.compress(tmp_path / "net.onnx", 1.0, x, terms=2)
    with eie.Accelerator("emulated") as accelerator:
        got = accelerator.run(x, model=model, verify=True)
    assert got.shape == want.shape
    assert 10 * np.log10((want**2).sum() / ((got - want) ** 2).sum()) >= 40
