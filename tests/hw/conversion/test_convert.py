"""Conversion: the same parameters give the same bytes, VHDL-93 at the top, and bad parameters are refused before it."""

import filecmp
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from eie import ArrayConfig
from eie.boards.board import board, board_names
from eie.errors import DeviceError
from eie_hw import cli
from eie_hw.conversion.convert import HDLS, MANIFEST, TOP, convert

SMALL = ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64)
BESIDE_BOARD = ["--pointers", "128", "--rows", "8"]
SMALL_OPTIONS = ["--pes", "4", "--entries", "128", "--pointers", "32", "--rows", "8", "--activations", "64"]


@pytest.mark.parametrize("hdl", HDLS)
def test_the_same_parameters_give_the_same_bytes_from_python_and_from_the_command(hdl, tmp_path):
    files = convert(SMALL, tmp_path / "call", hdl)
    assert cli.main(["convert", *SMALL_OPTIONS, "--hdl", hdl, "-o", str(tmp_path / "command")]) == 0
    names = [path.name for path in files] + [MANIFEST[hdl]]
    assert sorted(path.name for path in (tmp_path / "command").iterdir()) == sorted(names)
    assert filecmp.cmpfiles(tmp_path / "call", tmp_path / "command", names, shallow=False) == (names, [], [])
    assert files[-1].stem == TOP
    assert {"processing_element", "arithmetic_unit", "activation_queue", "cluster"} <= {path.stem for path in files}


@pytest.mark.full
@pytest.mark.parametrize("name", board_names())
def test_a_boards_array_converts_to_vhdl_of_1993_and_of_2008(name, tmp_path):
    assert cli.main(["convert", "--board", name, "--hdl", "VHDL", "-o", str(tmp_path)]) == 0
    again = convert(board(name).config, tmp_path / "again", "VHDL")
    assert filecmp.cmpfiles(tmp_path, tmp_path / "again", [path.name for path in again], shallow=False)[1:] == ([], [])
    if not shutil.which("ghdl"):
        pytest.skip("needs ghdl")
    _analyse(again, tmp_path)


def _analyse(files, directory):
    for standard in ("93c", "08"):
        (work := directory / standard).mkdir()
        command = ["ghdl", "-a", f"--std={standard}", f"--workdir={work}", *files]
        analysed = subprocess.run(command, capture_output=True, text=True)
        assert analysed.returncode == 0, f"VHDL {standard}: {analysed.stderr}"


@pytest.mark.skipif(not shutil.which("ghdl"), reason="needs ghdl")
@pytest.mark.parametrize(
    "config", [SMALL, ArrayConfig(num_pes=1, rows=8, activations=64, banks=1), ArrayConfig(num_pes=4, skip_empty=False)]
)
def test_an_array_is_vhdl_of_1993_and_of_2008(config, tmp_path):
    _analyse(convert(config, tmp_path / "vhdl", "VHDL"), tmp_path)


@pytest.mark.parametrize("hdl", HDLS)
def test_no_signal_had_to_be_renamed_because_two_have_one_name(hdl, tmp_path):
    for path in convert(SMALL, tmp_path, hdl):
        assert "_renamed" not in path.read_text(), path.name


def test_parameters_beside_a_board_replace_its_own(tmp_path):
    options = ["convert", "--board", "kv260", *BESIDE_BOARD, "--hdl", "Verilog", "-o", str(tmp_path / "board")]
    assert cli.main(options) == 0
    files = convert(replace(board("kv260").config, pointers=128, rows=8), tmp_path / "call", "Verilog")
    assert filecmp.cmpfiles(tmp_path / "board", tmp_path / "call", [p.name for p in files], shallow=False)[1:] == (
        [],
        [],
    )


BAD = {
    "num_pes": (3, r"num_pes=3 must be a power of two; 2 or 4 would do"),
    "pes": (512, r"num_pes=512 must lie in 1..256"),
    "entries": (16, r"entries=16 must lie in 64..65536"),
    "pointers": (64, r"pointers=64 must lie in"),
    "activations": (100, r"activations=100 must"),
    "rows": (48, r"rows=48 must be a power of two; 32 or 64 would do"),
    "index-bits": (0, r"index_bits=0 must lie in 1..12"),
    "banks": (3, r"banks=3 must lie in 1..2"),
}


@pytest.mark.parametrize("parameter", BAD)
def test_a_bad_parameter_is_refused_before_conversion_with_the_reason(parameter, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("eie_hw.conversion.convert.convert", lambda *_: pytest.fail("it was converted"))
    value, reason = BAD[parameter]
    option = f"--{parameter.replace('_', '-')}"
    assert cli.main(["convert", option, str(value), "-o", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()
    assert re.search(reason, capsys.readouterr().err)


def test_an_unknown_board_is_refused_with_those_there_are(tmp_path, capsys):
    assert cli.main(["convert", "--board", "arty", "-o", str(tmp_path / "out")]) == 1
    assert "'arty'" in (message := capsys.readouterr().err)
    assert all(name in message for name in board_names())
    assert not (tmp_path / "out").exists()


def test_an_unknown_hdl_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be one of"):
        convert(SMALL, tmp_path, "Chisel")


def test_nothing_is_left_of_a_conversion_that_fails(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stubs"))
    (tmp_path / "stubs/myhdl").mkdir(parents=True)
    (tmp_path / "stubs/myhdl/__init__.py").write_text("raise ImportError('myhdl is broken')")
    with pytest.raises(DeviceError, match="myhdl is broken"):
        convert(SMALL, tmp_path / "out", "VHDL")
    assert list((tmp_path / "out").iterdir()) == []
