"""`eie compress`: the model that it writes, and what it says of it."""

import re
import subprocess
import sys

import numpy as np
import pytest

import eie
from eie.cli import main
from tests.driver.cli.commands import run_json


def test_a_warning_is_a_line_without_the_place_in_the_code(folder):
    command = [
        sys.executable,
        "-m",
        "eie",
        "compress",
        "net.npz",
        "-o",
        "o.eie",
        "--density",
        "0.05",
        "--sharing",
        "linear",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"eie: warning: the compressed network no longer computes .*\n", done.stderr)


def test_compress_writes_the_model_that_eie_compress_returns(folder, capsys):
    result = run_json(capsys, "compress", "net.npz", "-o", "out.eie", "--density", "0.2", "--calibration", "x.npy")
    model, expected = eie.load("out.eie"), eie.compress("net.npz", 0.2, np.load("x.npy"))
    for layer, right in zip(model.layers, expected.layers, strict=True):
        assert np.array_equal(layer.dense_codes(), right.dense_codes())
        assert np.array_equal(layer.codebook, right.codebook) and np.array_equal(layer.bias, right.bias)
    assert result["bytes"] == (folder / "out.eie").stat().st_size
    assert result["compression"] == expected.metadata["compression"] and model.name == "net"


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        (["--density", "0.1,0.5"], [60, 70]),
        (["--density", "0.1,keep"], [60, 140]),
        (["--density", "fc2=keep,fc1=0.1"], [60, 140]),
        (["--density", "keep"], [600, 140]),
        (["--keep-zeros"], [600, 140]),
        ([], [54, 13]),
    ],
)
def test_density_is_one_for_all_layers_or_one_for_each(folder, capsys, options, kept):
    result = run_json(capsys, "compress", "net.npz", "-o", "out.eie", *options)
    assert [layer["nonzeros"] for layer in result["compression"]["layers"]] == kept


def test_dropping_unused_outputs_leaves_the_answers_and_says_how_many_went(folder, capsys):
    run_json(capsys, "compress", "net.npz", "-o", "whole.eie", "--density", "0.1")
    result = run_json(capsys, "compress", "net.npz", "-o", "out.eie", "--density", "0.1", "--drop-unused")
    whole, smaller = eie.load("whole.eie"), eie.load("out.eie")
    assert result["unused_rows"] == whole.layers[0].rows - smaller.layers[0].rows > 0
    assert (folder / "out.eie").stat().st_size < (folder / "whole.eie").stat().st_size
    a = np.random.default_rng(1).integers(-999, 999, (5, 30)).astype(np.int16)
    assert np.array_equal(eie.reference(smaller, a), eie.reference(whole, a))
    assert main(["compress", "net.npz", "-o", "out.eie", "--density", "0.1", "--drop-unused"]) == 0
    assert f"Left out: {result['unused_rows']} hidden outputs that no layer reads" in capsys.readouterr().out


def test_without_huffman_the_file_has_the_plain_size(folder, capsys):
    coded = run_json(capsys, "compress", "net.npz", "-o", "out.eie", "--keep-zeros")
    plain = run_json(capsys, "compress", "net.npz", "-o", "plain.eie", "--keep-zeros", "--no-huffman")
    assert plain["bytes"] == plain["plain_bytes"] == coded["plain_bytes"]


def test_compress_prints_a_line_for_every_layer(folder, capsys):
    assert main(["compress", "net.npz", "-o", "out.eie"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["layer", "fc1", "fc2", "total"]
    assert any("smaller than the weights in float32" in line for line in lines)
