"""Recurrent layers on the array: LSTM and GRU as torch has them, to the bit as the reference has them."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.errors import LayerError, PackError, VerificationError
from eie.network.cells import CELLS
from eie.network.operators.gates import float_sequence
from eie.network.operators.linear import FloatProduct, Matrix
from eie.network.reference import reference_sequence

CONFIG = eie.ArrayConfig(num_pes=16)


@dataclass
class Case:
    """A recurrent layer and its weights."""

    kind: str
    weights: list

    @property
    def is_lstm(self):
        return self.kind.startswith("lstm")

    @property
    def layer(self):
        return eie.LSTM(*self.weights) if self.is_lstm else eie.GRU(*self.weights, reset_after=self.kind == "gru")

    def run(self, x, state="h"):
        """Compute a state of sequences, shape (B, T, C), in float64, as PyTorch's and ONNX's pages define the cells."""
        sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
        w, r, b_w, b_r = (np.asarray(part, np.float64) for part in self.weights)
        blocks = 4 if self.is_lstm else 3
        h = c = np.zeros((len(x), r.shape[1]))
        outputs = []
        for time in range(x.shape[1]):
            of_x = np.split(x[:, time] @ w.T + b_w, blocks, axis=1)
            of_h = np.split(h @ r.T + b_r, blocks, axis=1)
            if self.is_lstm:
                i, f, g, o = (a + b for a, b in zip(of_x, of_h, strict=True))
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            else:
                reset, z = sigmoid(of_x[0] + of_h[0]), sigmoid(of_x[1] + of_h[1])
                size = r.shape[1]
                inner = reset * of_h[2] if self.kind == "gru" else (reset * h) @ r[2 * size :].T + b_r[2 * size :]
                h = (1 - z) * np.tanh(of_x[2] + inner) + z * h
            outputs.append(h if state == "h" else c)
        return np.stack(outputs, axis=1)


def floats(kind, columns, hidden, rng, size=1.0):
    """Return a recurrent layer of uniform weights, as torch begins with."""
    blocks = 4 if kind.startswith("lstm") else 3
    bound = size / np.sqrt(hidden)
    shapes = ((blocks * hidden, columns), (blocks * hidden, hidden), (blocks * hidden,), (blocks * hidden,))
    return Case(kind, [rng.uniform(-bound, bound, shape).astype(np.float32) for shape in shapes])


def sqnr(wanted, got):
    return 10 * np.log10((wanted**2).sum() / ((wanted - got) ** 2).sum())


@pytest.mark.parametrize("kind", ["lstm", "gru", "gru, reset before"])
def test_two_terms_come_within_forty_decibels_of_the_floats(kind):
    rng = np.random.default_rng(1)
    layer, x = floats(kind, 24, 48, rng), rng.standard_normal((3, 50, 24)).astype(np.float32)
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        accelerator.load(eie.compress(layer.layer, 1.0, x, terms=2))
        y = accelerator.run(x, verify=True)
    assert y.shape == (3, 50, 48)
    assert sqnr(layer.run(x), y) >= 40


@pytest.mark.parametrize("reach", [16, 32, 64, 128])
def test_cell_states_that_grow_large_have_fewer_fraction_bits_and_need_no_host(reach):
    rng = np.random.default_rng(1)
    case, x = floats("lstm", 24, 48, rng, size=0.5), rng.standard_normal((2, reach, 24)).astype(np.float32)
    i, f, g, _ = np.split(case.weights[2], 4)
    f += 9
    g += rng.choice([-2, 2], len(g)).astype(np.float32)
    i += np.float32(0.3)
    peak = np.abs(case.run(x, "c")).max()
    assert reach / 4 < peak < reach
    model = eie.compress(case.layer, 1.0, x, terms=2, headroom=reach / peak * 0.99)
    assert model.kind == f"lstm, cell state to {reach}"
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        accelerator.load(model)
        assert sqnr(case.run(x), accelerator.run(x, verify=True)) >= 40


def test_in_floats_all_kinds_of_lstm_are_one():
    rng = np.random.default_rng(2)
    matrices = [FloatProduct(Matrix(rng.standard_normal((5, 8)), rng.standard_normal(5))) for _ in range(4)]
    x, states = rng.standard_normal((2, 9, 3)), rng.standard_normal((2, 2, 5))
    found = [
        float_sequence(x, states, {"cell": kind, "input_bits": 10}, matrices, 0)
        for kind in CELLS
        if kind.startswith("lstm")
    ]
    assert len(found) == 5 and all(np.array_equal(found[0], other) for other in found)


@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_inputs_of_any_size_leave_the_states_their_bits(size):
    rng = np.random.default_rng(1)
    w, *others = floats("lstm", 24, 48, rng).weights
    layer = Case("lstm", [w / np.float32(size), *others])
    x = (size * rng.standard_normal((3, 50, 24))).astype(np.float32)
    model = eie.compress(layer.layer, 1.0, x, terms=2)
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        assert sqnr(layer.run(x), accelerator.run(x, model=model)) >= 40


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_the_floats_are_those_of_torch(kind):
    torch = pytest.importorskip("torch")
    module = getattr(torch.nn, kind.upper())(5, 7, batch_first=True)
    weights = [p.detach().numpy() for p in module.parameters()]
    x = np.random.default_rng(2).standard_normal((2, 9, 5)).astype(np.float32)
    np.testing.assert_allclose(Case(kind, weights).run(x), module(torch.from_numpy(x))[0].detach().numpy(), atol=1e-5)


@st.composite
def cases(draw):
    pes = draw(st.sampled_from((1, 2, 4, 16)))
    config = eie.ArrayConfig(
        num_pes=pes, entries=256, pointers=128, rows=16, activations=1024, banks=draw(st.sampled_from((1, 2)))
    )
    sizes = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    return config, draw(st.sampled_from(sorted(CELLS))), *sizes, draw(st.integers(1, 5)), draw(st.integers(1, 3))


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
@settings(max_examples=25)
@given(cases(), st.integers(0, 2**32), st.sampled_from((0.3, 1.0)), st.sampled_from((1, 2)))
def test_the_array_gives_what_the_reference_gives(case, seed, density, terms):
    config, kind, columns, hidden, steps, batch = case
    rng = np.random.default_rng(seed)
    layer = floats(kind, columns, hidden, rng, size=3.0)
    x = rng.standard_normal((batch, steps, columns)).astype(np.float32)
    model = eie.compress(layer.layer, density, x, terms=terms)
    model = eie.RecurrentModel(kind, model.layers, model.input_fraction_bits)
    with eie.Accelerator(eie.EmulatedDevice(config)) as accelerator:
        accelerator.load(model)
        whole = accelerator.run(x, verify=True)
        accelerator.run(x[:, :1], verify=True)
        if steps > 1:
            assert np.array_equal(accelerator.run(x[:, 1:], keep_states=True, verify=True), whole[:, 1:])
        assert np.array_equal(accelerator.run(x[0]), whole[0])


def test_a_sequence_is_one_transfer_without_the_host():
    rng = np.random.default_rng(3)
    model = eie.compress(floats("lstm", 8, 16, rng).layer, 1.0)
    device = eie.EmulatedDevice(CONFIG)
    sent = []
    send = device.send
    device.send = lambda *given, **named: (sent.append(given), send(*given, **named))[1]
    with eie.Accelerator(device) as accelerator:
        accelerator.load(model)
        sent.clear()
        accelerator.run(rng.standard_normal((50, 8)))
    assert len(sent) == 1


def test_what_does_not_fit_is_refused_with_the_remedy():
    rng = np.random.default_rng(4)
    with pytest.raises(LayerError, match=r"they must be \(4 H, C\) and \(4 H, H\)"):
        eie.LSTM(np.zeros((12, 4)), np.zeros((16, 4)))
    model = eie.compress(floats("gru", 8, 64, rng).layer, 1.0)
    small = eie.ArrayConfig(num_pes=4, entries=128, pointers=32, rows=16, activations=128)
    crowded = pytest.raises(PackError, match="take 328 activations on the array, which has 128")
    with eie.Accelerator(eie.EmulatedDevice(small)) as accelerator, crowded:
        accelerator.load(model)
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        accelerator.load(model)
        with pytest.raises(PackError, match=r"takes \(T, 8\) or \(B, T, 8\)"):
            accelerator.run(np.zeros((5, 9)))
        with pytest.raises(PackError, match="recurrent"):
            accelerator.run_raw(np.zeros((5, 8), np.int16))
        accelerator.run(np.zeros((2, 5, 8)))
        with pytest.raises(PackError, match="3 sequences; states are kept of 2"):
            accelerator.run(np.zeros((3, 5, 8)), keep_states=True)


def test_a_wrong_output_is_found():
    rng = np.random.default_rng(5)
    model = eie.compress(floats("lstm", 8, 16, rng).layer, 1.0)
    device = eie.EmulatedDevice(CONFIG)
    with eie.Accelerator(device) as accelerator:
        accelerator.load(model)
        accelerator.run(rng.standard_normal((3, 8)), verify=True)
        device.machine.biases += 1 << 20
        with pytest.raises(VerificationError, match="sequence 0, time step 0"):
            accelerator.run(rng.standard_normal((3, 8)), verify=True)


def test_states_go_on_in_the_reference_too():
    rng = np.random.default_rng(6)
    model = eie.compress(floats("gru", 8, 16, rng).layer, 1.0)
    x = rng.integers(-4096, 4096, (2, 6, 8)).astype(np.int16)
    whole, _ = reference_sequence(model, x, model.zero_states(2))
    first, states = reference_sequence(model, x[:, :2], model.zero_states(2))
    second, _ = reference_sequence(model, x[:, 2:], states)
    assert np.array_equal(whole, np.concatenate([first, second], axis=1))
