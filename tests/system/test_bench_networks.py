"""The benchmark of networks notes every product on the array, of graphs and of chains."""

import importlib
from pathlib import Path

import numpy as np
import pytest

import eie
from eie.cycle_model.timed_device import TimedDevice

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("bench_networks")


@pytest.mark.filterwarnings("ignore::eie.errors.AccuracyWarning")
def test_each_product_of_a_graph_is_noted_with_its_cycles(bench):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(64, 3))
    x = np.random.default_rng(0).random((8, 2, 6, 6)).astype(np.float32)
    model = eie.compress(module.eval(), 0.5, x)
    with bench.Meter(TimedDevice(eie.ArrayConfig(num_pes=4))) as meter:
        meter.measure(x[:1], model)
    assert len(meter.rows) == 2
    assert all(row.busy > row.arithmetic > 0 and row.work > 0 for row in meter.rows)
    assert "inferences a second" in "\n".join(bench.report("a network", meter.rows, 4, 100))


def test_a_chain_is_one_row(bench):
    model = eie.Model([eie.Layer.from_dense_codes(np.ones((8, 8), int), np.arange(16))])
    with bench.Meter(TimedDevice(eie.ArrayConfig(num_pes=4))) as meter:
        meter.measure(np.ones((2, 8)), model)
    assert [row.vectors for row in meter.rows] == [2]
