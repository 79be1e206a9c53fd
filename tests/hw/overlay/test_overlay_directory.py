"""The directory that builds an overlay: complete or not usable, on this machine or on another."""

import shutil

import pytest
from tests.hw.overlay_bench import LEFT, RESULTS, names, needs_tclsh, run_shell, stub_converter

from eie.boards.board import board, board_names
from eie.errors import DeviceError, EieError
from eie_hw.overlay import build as build_module
from eie_hw.overlay.build import Plan, prepare

pytestmark = needs_tclsh


@pytest.mark.parametrize("place", ["elsewhere", "with space [x] $y", "grün{"])
def test_the_directory_builds_with_one_command_wherever_it_is_moved(prepared, vivado, tmp_path, place):
    shutil.move(prepared, tmp_path / place)
    run = run_shell(tmp_path / place, vivado)
    assert run.returncode == 0, run.stdout + run.stderr
    assert set(RESULTS) <= names(tmp_path / place)


def test_the_runner_without_a_vivado_says_what_to_do(prepared, vivado):
    run = run_shell(prepared)
    assert run.returncode == 1
    assert "settings64.sh" in run.stderr
    assert run_shell(prepared, VIVADO=str(vivado)).returncode == 0


def test_the_scripts_name_no_path_of_this_machine(prepared):
    for name in ("build.py", "build.tcl"):
        assert str(prepared.parent) not in (prepared / name).read_text()
        assert "/home" not in (prepared / name).read_text()


def test_a_failing_conversion_leaves_the_directory_as_it_was(prepared):
    before = {path.name: path.read_bytes() for path in prepared.iterdir() if path.is_file()}

    def failing(config, directory, target):
        stub_converter(config, directory, target)
        raise DeviceError("the conversion failed")

    with pytest.raises(DeviceError):
        prepare(Plan(board("pynq-z2"), prepared), failing)
    assert names(prepared) == LEFT
    assert {path.name: path.read_bytes() for path in prepared.iterdir() if path.is_file()} == before


def test_a_directory_that_could_not_be_completed_has_no_build_py(prepared, monkeypatch):
    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build_module.os, "replace", no_space)
    with pytest.raises(EieError, match="No space left on device"):
        prepare(Plan(board("pynq-z2"), prepared), stub_converter)
    assert "build.py" not in names(prepared)


def test_preparing_again_leaves_no_source_of_the_time_before(prepared):
    (prepared / "vhdl" / "stale.vhd").write_text("")
    prepare(Plan(board("pynq-z2"), prepared), stub_converter)
    assert names(prepared / "vhdl") == {"control_unit.vhd", "eie_top.vhd"}


def test_a_source_that_is_missing_is_named_before_vivado_starts_work(prepared, vivado):
    (prepared / "vhdl" / "control_unit.vhd").unlink()
    run = run_shell(prepared, vivado)
    assert run.returncode == 1
    assert "source file vhdl/control_unit.vhd is missing" in run.stdout
    assert not (prepared / "vivado").exists()


@pytest.mark.parametrize("name", board_names())
def test_a_dry_run_prints_the_plan_and_writes_nothing(command, tmp_path, capsys, name):
    assert command(["--board", name, "-o", str(tmp_path / "out"), "--dry-run"]) == 0
    printed, on = capsys.readouterr().out, board(name)
    for fact in (on.part, f"0x{on.array_address:08X}", f"{on.clock_mhz:g} MHz", f"eie-{name}.bit", on.title):
        assert fact in printed
    assert not (tmp_path / "out").exists()


def test_an_unknown_board_and_an_unusable_directory_are_refused(command, tmp_path, capsys):
    assert command(["--board", "zynqberry"]) == 1
    assert "the boards are aup-zu3, kr260, kv260, pynq-z1" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "file")]) == 1
    assert "cannot be created" in capsys.readouterr().err
