"""PyTorch modules of several inputs, and what PyTorch's exporter says of those that it cannot export."""

import numpy as np
import pytest

import eie
from eie.compression.report import sqnr_db
from eie.errors import NetworkError
from eie.network import torch_reader

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")


class Messages(torch.nn.Module):
    """A layer of a graph network: nodes take what their neighbours send, along edges given as pairs of nodes."""

    def __init__(self, adds="scatter_add"):
        super().__init__()
        torch.manual_seed(0)
        self.adds, self.inner, self.outer = adds, torch.nn.Linear(8, 6), torch.nn.Linear(6, 3)

    def forward(self, x, edges, scale):
        h = self.inner(x)
        to, sender = edges
        sent = torch.relu(h[sender]) * scale
        if self.adds == "index_add":
            return self.outer(h + torch.zeros_like(h).index_add(0, to, sent))
        return self.outer(h + torch.zeros_like(h).scatter_add(0, to[:, None].expand_as(sent), sent))


def given(nodes, edges, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((nodes, 8)).astype(np.float32)
    return {"x": x, "edges": rng.integers(0, nodes, (2, edges)), "scale": np.float32(0.5)}


def test_inputs_need_no_common_batch_and_may_have_other_sizes_later():
    module = Messages()
    model = eie.compress(module, 1.0, given(40, 90), terms=2)
    for sizes in ((40, 90, 1), (17, 25, 2)):
        x = given(*sizes)
        with torch.no_grad():
            want = module(*(torch.as_tensor(value) for value in x.values())).numpy()
        assert sqnr_db(want, eie.reference(model, x)) > 40


def test_what_pytorch_says_it_exports_wrongly_is_refused(monkeypatch):
    monkeypatch.setattr(torch_reader, "find_spec", lambda name: None)
    with pytest.raises(NetworkError, match="duplicated values in 'index'"):
        eie.compress(Messages("index_add"), 1.0, given(40, 90))


class Spectrum(torch.nn.Module):
    """Has an operator that only the exporter of ``torch.export`` knows."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = torch.nn.Linear(5, 3)

    def forward(self, x):
        return self.inner(torch.fft.rfft(x).abs())


def test_what_one_exporter_does_not_know_the_other_may():
    pytest.importorskip("onnxscript")
    x = np.random.default_rng(0).standard_normal((16, 8)).astype(np.float32)
    model = eie.compress(Spectrum(), 1.0, x, terms=2)
    with torch.no_grad():
        want = Spectrum()(torch.as_tensor(x)).numpy()
    assert sqnr_db(want, eie.reference(model, x)) > 40


def test_a_module_that_cannot_be_exported_is_not_printed(capfd, monkeypatch):
    monkeypatch.setattr(torch_reader, "find_spec", lambda name: None)
    with pytest.raises(NetworkError, match="fft_rfft"):
        eie.compress(Spectrum(), 1.0, np.ones((4, 8), np.float32))
    assert capfd.readouterr().out == ""


class Counting(torch.nn.Module):
    """Keeps a state of its own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.state = torch.nn.Linear(8, 8), torch.zeros(8)

    def forward(self, x):
        self.state = torch.tanh(self.inner(x + self.state).mean(0)) + self.state
        return x + self.state


class Deciding(torch.nn.Module):
    """Decides in Python by the values that it sees."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.one, self.other = torch.nn.Linear(8, 3), torch.nn.Linear(8, 3)

    def forward(self, x):
        return self.one(x) if float(x.sum()) > 0 else self.other(x)


@pytest.mark.parametrize("module", [Counting(), Deciding()])
def test_a_module_that_computes_something_else_than_its_export_is_refused(module):
    x = np.concatenate([np.ones((4, 8)), -np.ones((4, 8))]).astype(np.float32)
    with pytest.raises(NetworkError, match=r"something else than the module does.* is off by"):
        eie.compress(module, 1.0, x)


def test_a_module_may_give_several_outputs_and_stay_in_training():
    class Several(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.drop = torch.nn.Linear(8, 4), torch.nn.Dropout(0.5)

        def forward(self, x):
            y = self.drop(self.inner(x))
            return {"y": y, "all": [torch.relu(y), y.argmax(1)]}

    module = Several().train()
    model = eie.compress(module, 1.0, np.random.default_rng(0).standard_normal((16, 8)).astype(np.float32))
    assert module.training and len(model.graph.outputs) == 3
