"""What the tests of the commands share."""

import numpy as np
import pytest

import eie


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a network, its model file and inputs for it."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    weights = {"fc1.weight": rng.normal(size=(20, 30)), "fc2.weight": rng.normal(size=(7, 20))}
    np.savez("net.npz", **{**weights, "fc1.bias": rng.normal(size=20), "fc2.bias": rng.normal(size=7)})
    np.save("x.npy", rng.normal(size=(9, 30)).astype(np.float32))
    eie.save(eie.compress("net.npz", 0.4, sharing="linear"), "net.eie")
    return tmp_path
