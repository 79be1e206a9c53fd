"""`eie run`: labels, and inputs in the network's own shape; the shell completes the command."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import eie
from eie.cli import main
from eie.devices.emulation.tile_matrix import TileMatrix
from eie.network.graph import Graph, Node, Value


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 1, 4, 4)).astype(np.float32)
    model = eie.compress([eie.Dense(rng.normal(size=(3, 16)))], 1.0, calibration=x)
    eie.save(model, "net.eie")
    np.save("x.npy", x)
    accelerator = eie.Accelerator("emulated")
    accelerator.load(model)
    labels = accelerator.run(x).argmax(axis=1)
    labels[:5] = (labels[:5] + 1) % 3
    np.save("labels.npy", labels)
    return tmp_path


def test_labels_tell_how_many_classes_are_right(folder, capsys):
    assert main(["run", "net.eie", "x.npy", "--labels", "labels.npy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["correct"] == 15
    assert main(["run", "net.eie", "x.npy", "--labels", "labels.npy"]) == 0
    assert "15 of 20 classes are right: 75.00%" in capsys.readouterr().out


@pytest.mark.parametrize("labels", [np.zeros(19, int), np.zeros(20), np.zeros((20, 1), int)])
def test_labels_that_are_none_are_refused(folder, capsys, labels):
    np.save("labels.npy", labels)
    assert main(["run", "net.eie", "x.npy", "--labels", "labels.npy"]) == 2
    assert "labels are integers, (20,)" in capsys.readouterr().err


@pytest.mark.parametrize("off", [-1, 1])
def test_labels_of_classes_that_the_network_does_not_have_are_refused(folder, capsys, off):
    np.save("labels.npy", np.arange(20) % 3 + off)
    assert main(["run", "net.eie", "x.npy", "--labels", "labels.npy"]) == 2
    assert f"labels from {off} to {2 + off}; the network has classes from 0 to 2" in capsys.readouterr().err


def test_inputs_come_in_the_networks_own_shape_or_flat(folder):
    np.save("flat.npy", np.load("x.npy").reshape(20, 16))
    for name in ("x", "flat"):
        assert main(["run", "net.eie", f"{name}.npy", "-o", f"y_{name}.npy"]) == 0
    assert np.array_equal(np.load("y_x.npy"), np.load("y_flat.npy"))


@pytest.mark.parametrize("kind", ["chain", "graph"])
def test_what_a_compiler_takes_to_start_is_no_part_of_the_run(folder, capsys, monkeypatch, kind):
    if kind == "graph":
        graph = Graph(
            [Node("MatMul", ("x", "w"), ("y",)), Node("Sigmoid", ("y",), ("z",))],
            [Value("x", "float32", ("batch", 16))],
            [Value("z")],
            {"w": np.ones((16, 3), np.float32)},
        )
        x = np.load("x.npy").reshape(20, 16)
        eie.save(eie.compress(graph, 1.0, x), "net.eie")
        np.save("x.npy", x)
    accumulate, starts = TileMatrix.accumulate, iter([2.0])

    def with_a_start(self, *arguments):
        time.sleep(next(starts, 0))
        accumulate(self, *arguments)

    monkeypatch.setattr(TileMatrix, "accumulate", with_a_start)
    assert main(["run", "net.eie", "x.npy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["run_seconds"] < 2
    assert next(starts, None) is None


def test_a_shell_is_told_what_could_follow(tmp_path):
    pytest.importorskip("argcomplete")
    answers = tmp_path / "answers"
    environment = {
        **os.environ,
        **{"_ARGCOMPLETE": "1", "_ARGCOMPLETE_STDOUT_FILENAME": str(answers), "_ARGCOMPLETE_SUPPRESS_SPACE": "1"},
        **{"COMP_LINE": "eie est", "COMP_POINT": "7", "COMP_TYPE": "9"},
    }
    run = subprocess.run([sys.executable, "-m", "eie"], env=environment, capture_output=True, text=True)
    assert answers.read_text() == "estimate", run.stderr
