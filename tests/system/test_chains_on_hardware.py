"""Chains of small layers on the simulated hardware of 64 PEs: every output and every counter of the computation."""

import numpy as np
import pytest
from tests.driver.network.test_anomaly_detection import AD
from tests.keywords import KEYWORDS, keyword_network

import eie
from eie.contract.fixed_point import quantise
from eie.cycle_model.layers import cycles
from eie.cycle_model.timed_device import TimedDevice
from eie.data import mnist
from eie.field.networks import ANOMALIES, chain


def lenet():
    """The shipped one; of 1,001 digits, the last is alone in its unit, and its input comes in pieces."""
    return eie.load(mnist.DATA / "lenet-300-100.eie"), mnist.test_digits().inputs()[:1001]


def autoencoder():
    """MLPerf Tiny's with its own weights, a tenth of them; 9 windows of its spectrogram."""
    if not AD.exists():
        pytest.skip(f"there is no {AD}")
    with np.load(AD) as arrays:
        frames = arrays["spectrogram"].reshape(-1, 128)
        network = [
            eie.Dense(arrays[f"weight{i}"], arrays[f"bias{i}"], "relu" if i < 9 else None, f"dense {i}")
            for i in range(10)
        ]
    x = np.stack([frames[i : i + 5].ravel() for i in range(len(frames) - 4)]).astype(np.float32)
    return eie.compress(network, 0.1, x), x[:9]


def keywords():
    """FINN's, with its own weights: 7 samples, the units of which are not all full."""
    if not KEYWORDS.exists():
        pytest.skip(f"there is no {KEYWORDS}")
    model, _ = keyword_network()
    return model, np.load(KEYWORDS / "samples.npz")["inputs"][:7].astype(np.int16)


def anomalies():
    """hls4ml's AD08, dense, with random weights."""
    return chain("AD08", ANOMALIES, 1.0), np.random.default_rng(1).standard_normal((13, ANOMALIES[0]))


@pytest.mark.full
@pytest.mark.parametrize("network", [lenet, autoencoder, keywords, anomalies], ids=lambda network: network.__name__)
def test_outputs_are_the_references_and_counters_the_cycle_models(network):
    model, x = network()
    a = x if x.dtype == np.int16 else quantise(x, model.input_fraction_bits)
    results = []
    for device in (eie.RtlDevice(eie.ArrayConfig()), TimedDevice(eie.ArrayConfig())):
        with eie.Accelerator(device) as accelerator:
            outputs = accelerator.run_raw(a, model=model)
            assert np.array_equal(outputs, eie.reference(model, a))
            results.append(accelerator.counters)
    hardware, emulation = results
    for counter in ("cycles", "broadcasts", "work", "padding", "starved", "blocked"):
        assert np.array_equal(getattr(hardware, counter), getattr(emulation, counter)), counter
    assert hardware.cycles == sum(layer.cycles for layer in cycles(model, a, eie.ArrayConfig()))
