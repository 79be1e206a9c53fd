"""The commands for boards: estimate, virtual-board, and overlays as devices."""

import json
from dataclasses import replace

import numpy as np
import pytest

import eie
from eie.boards.board import board
from eie.boards.pynq_versions import install_commands
from eie.cli import main, virtual_board
from eie.data.mnist import DATA
from eie.data.mnist import test_digits as digits

LENET = str(DATA / "lenet-300-100.eie")


def estimate_json(capsys, *arguments):
    assert main(["estimate", LENET, *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_estimate_prints_what_the_function_returns(capsys, tmp_path):
    x = digits().inputs()[:3]
    np.save(tmp_path / "x.npy", x)
    assert main(["estimate", LENET, "--board", "zcu104", "--data", str(tmp_path / "x.npy")]) == 0
    expected = eie.estimate(eie.load(LENET), "zcu104", x)
    assert capsys.readouterr().out.rstrip() == expected.table()
    result = estimate_json(capsys, "--board", "zcu104", "--data", tmp_path / "x.npy")
    assert result["latency_cycles"] == expected.latency_cycles and result["board"] == "ZCU104"


def test_estimate_takes_clock_dma_density_batch_and_array(capsys):
    result = estimate_json(
        capsys, "--clock", 125, "--dma-bytes", 4, "--density", 0.1, "--batch", 4, "--seed", 3, "--pes", 32, "--rows", 32
    )
    described = board("pynq-z2")
    described = replace(described, config=replace(described.config, num_pes=32, rows=32))
    expected = eie.estimate(
        eie.load(LENET), described, clock_mhz=125, bytes_per_cycle=4, density=0.1, batch=4, seed=3
    ).to_dict()
    assert result["config"]["num_pes"] == 32 and result["board"] == "PYNQ-Z2"
    for name in ("clock_mhz", "bytes_per_cycle", "batch", "batch_cycles", "frames_per_second"):
        assert result[name] == expected[name], name


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--board", "pynq"], "there is no board 'pynq'; the boards are aup-zu3, kr260, kv260"),
        (["--density", "2"], "density is 2.0"),
        (["--clock", "-5"], "clock_mhz is -5"),
        (["--dma-bytes", "0"], "bytes_per_cycle is 0"),
        (["--data", "no.npy"], "no.npy: cannot be read"),
        (["--batch", "0"], "batch is 0"),
        (["--seed", "-1"], "seed is -1"),
    ],
)
def test_estimate_refuses_what_cannot_be_in_one_line(capsys, arguments, text):
    assert main(["estimate", LENET, *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("eie: error: ") and text in err and err.count("\n") == 1


def test_virtual_board_without_pynq_says_how_to_install_it_command_by_command(monkeypatch, capsys):
    monkeypatch.setattr(virtual_board.importlib.util, "find_spec", lambda name: None)
    assert main(["virtual-board", "--board", "pynq-z1"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("eie: error: the virtual board runs the real pynq library")
    assert all(command in err for command in install_commands())
    assert 'with VirtualBoard("pynq-z1") as board:' in err


def test_virtual_board_refuses_a_number_of_images_that_there_are_not(capsys):
    assert main(["virtual-board", "--images", "0"]) == 2
    assert "images is 0; the test set has 1 to 10,000" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "verify"])
def test_an_overlay_is_a_device_whose_array_is_its_own(command, monkeypatch, capsys, tmp_path):
    """The overlay is played by an emulation here; tests/pynq has the board."""
    import importlib

    own = eie.ArrayConfig(num_pes=16)
    opened = []
    module = importlib.import_module(f"eie.cli.{command}")
    monkeypatch.setattr(module, "device_by_name", lambda name, config: opened.append(name) or eie.EmulatedDevice(own))
    np.save(tmp_path / "x.npy", digits().inputs()[:2])
    inputs = [str(tmp_path / "x.npy")] if command == "run" else ["--inputs", "3"]
    assert main([command, LENET, *inputs, "--device", "somewhere/eie.bit", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert opened == ["somewhere/eie.bit"]
    assert result["device"] == "somewhere/eie.bit" and result["array"]["num_pes"] == 16


def test_a_device_that_there_is_not_is_refused_with_those_there_are(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", LENET, "x.npy", "--device", "gpu"])
    assert ended.value.code == 2
    assert "there is no device 'gpu'; there are emulated, rtl, and overlays: paths that end in .bit" in (
        " ".join(capsys.readouterr().err.split())
    )
