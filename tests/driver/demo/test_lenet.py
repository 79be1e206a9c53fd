"""The demo: what the array computes on MNIST, in text and in JSON."""

import json
import sys

import numpy as np
import pytest

import eie
from eie import plots
from eie.cli import main
from eie.contract.fixed_point import quantise
from eie.data import mnist
from eie.demo import lenet as demo
from eie.errors import EieError, MissingExtraError, NetworkError


@pytest.fixture
def small_network(tmp_path):
    """A network that tells digits apart by their mean images: poorly, but better than chance."""
    digits = mnist.calibration_digits()
    means = np.array([digits.inputs()[digits.labels == label].mean(axis=0) for label in range(10)])
    means -= means.mean(axis=0)
    weight = np.where(np.abs(means) > 0.15, means, 0)
    path = tmp_path / "means.npz"
    np.savez(path, weight=weight, bias=-(weight**2).sum(axis=1))
    return path, weight, -(weight**2).sum(axis=1)


def test_the_demo_reports_what_the_array_computes(tmp_path, small_network):
    path, weight, bias = small_network
    config = eie.ArrayConfig(num_pes=4)
    result = demo.run_demo(demo.Demo(tmp_path / "out", config, images=300, verified=50, network=path))
    test = mnist.test_digits()
    floats = test.inputs()[:300] @ weight.T.astype(np.float32) + bias.astype(np.float32)
    assert result["error_percent"]["pruned_float32"] == pytest.approx(
        100 * np.mean(floats.argmax(1) != test.labels[:300])
    )
    model = eie.load(tmp_path / "out" / "means.eie")
    outputs = eie.reference(model, quantise(test.inputs()[:300], model.input_fraction_bits))
    assert result["error_percent"]["compressed"] == 100 * np.mean(outputs.argmax(1) != test.labels[:300]) < 60
    assert result["verified_images"] == 50 and result["images"] == 300
    assert result["bytes"]["huffman"] == (tmp_path / "out" / "means.eie").stat().st_size
    used = np.flatnonzero(weight.any(axis=0))
    sent = quantise(test.inputs()[:300, used[0] : used[-1] + 1], 13)
    assert result["counters"]["broadcasts"] == np.count_nonzero(sent)
    assert sorted(file.name for file in result["files"]) == sorted(file.name for file in (tmp_path / "out").iterdir())
    assert len(result["files"]) == 7


def test_the_demo_arrives_at_the_shipped_model(tmp_path):
    result = demo.run_demo(demo.Demo(tmp_path, verified=0, figures=False))
    made, trained = eie.load(tmp_path / "lenet-300-100.eie"), eie.load(demo.TRAINED)
    for layer, right in zip(made.layers, trained.layers, strict=True):
        assert np.array_equal(layer.dense_codes(), right.dense_codes())
    # Scales chosen from 256 images instead of thousands cost a few images of 10,000 at most.
    recorded = trained.metadata["training"]["test_error"]["integer"]
    assert result["error_percent"]["compressed"] == pytest.approx(recorded, abs=0.1)


def test_the_demo_prints_the_same_figures_as_text_and_as_json(tmp_path, small_network, capsys, monkeypatch):
    monkeypatch.setattr(demo, "NETWORK", small_network[0])
    command = ["demo", "-o", tmp_path / "out", "--images", 100, "--verify", 10, "--no-figures"]
    assert main([*map(str, command), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert main([*map(str, command)]) == 0
    out = capsys.readouterr().out
    assert f"{result['error_percent']['compressed']:6.2f} %" in out and "first 10 images equal" in out
    assert f"{result['bytes']['huffman']:,} bytes" in out
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["means.eie"]


def test_the_demo_without_matplotlib_says_so_before_it_works(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["demo", "-o", str(tmp_path / "out")]) == 2
    assert "pip install 'eie-pynq[plots]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    with pytest.raises(MissingExtraError):
        plots.require_plots()


def test_a_demo_of_no_images_is_refused(tmp_path):
    with pytest.raises(NetworkError, match="1 to 10000"):
        demo.Demo(tmp_path, images=10_001)
    with pytest.raises(EieError, match="verified is -1"):
        demo.Demo(tmp_path, verified=-1)
