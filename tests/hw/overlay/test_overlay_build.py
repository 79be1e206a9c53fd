"""The build of an overlay: whole or not at all, on this machine or on another."""

import importlib.util
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.hw.overlay_bench import install_stub, needs_tclsh, stub_converter

from eie.boards.board import board, board_names
from eie.contract import isa, registers
from eie.errors import DeviceError, EieError
from eie_hw.overlay import build as build_module
from eie_hw.overlay.build import Plan, build, prepare
from eie_hw.overlay.vivado import VivadoError, find_vivado, release

SCRIPT = Path(__file__).parents[3] / "scripts" / "build_overlay.py"
RESULTS = ["eie-pynq-z2.bit", "eie-pynq-z2.hwh", "eie-pynq-z2.json"]
LEFT = {"build.sh", "build.tcl", "vhdl"}

pytestmark = needs_tclsh


@pytest.fixture
def command(monkeypatch):
    """The command, with a converter that takes no time, and no Vivado on PATH."""
    spec = importlib.util.spec_from_file_location("build_overlay", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "prepare", lambda plan: build_module.prepare(plan, stub_converter))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert shutil.which("vivado") is None
    return module.main


@pytest.fixture
def vivado(tmp_path):
    return install_stub(tmp_path / "bin")


@pytest.fixture
def prepared(tmp_path):
    prepare(Plan(board("pynq-z2"), tmp_path / "out"), stub_converter)
    return tmp_path / "out"


def names(directory):
    return {path.name for path in directory.iterdir()}


def run_shell(directory, vivado=None, **changes):
    path = os.pathsep.join([*([str(vivado.parent)] if vivado else []), "/usr/bin", "/bin"])
    return subprocess.run(
        ["sh", str(directory / "build.sh")],
        env={**os.environ, "PATH": path, **changes},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.mark.parametrize("name", board_names())
def test_with_a_vivado_the_command_leaves_bit_hwh_and_json_under_one_name(command, vivado, tmp_path, name, capsys):
    described = board(name)
    assert command(["--board", name, "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 0
    results = {f"eie-{name}.{ending}" for ending in ("bit", "hwh", "json")}
    assert names(tmp_path / "out") == LEFT | results | {"reports", "vivado", "vivado.log"}
    stated = json.loads((tmp_path / "out" / f"eie-{name}.json").read_text())
    assert stated["hash"] == f"0x{registers.build_hash(described.config):08x}"
    assert stated["array"] == described.config.to_dict()
    assert (stated["instruction_set_version"], stated["register_map_version"]) == (isa.VERSION, registers.VERSION)
    assert (stated["vivado"], stated["setup_slack_ns"], stated["hold_slack_ns"]) == ("2022.1", 0.123, 0.045)
    for ending in ("bit", "hwh"):
        assert described.design_name in (tmp_path / "out" / f"eie-{name}.{ending}").read_text()
    assert "setup slack 0.123 ns, hold slack 0.045 ns" in capsys.readouterr().out


def test_utilisation_and_timing_reports_are_collected(command, vivado, tmp_path):
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 0
    assert names(tmp_path / "out" / "reports") == {
        "utilization.rpt",
        "utilization_by_unit.rpt",
        "timing.rpt",
        "drc.rpt",
    }


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("STUB_WNS", "-0.217", "setup slack (WNS) is -0.217 ns"),
        ("STUB_WHS", "-0.004", "hold slack (WHS) is -0.004 ns"),
        ("STUB_TPWS", "-1.5", "pulse width slack (TPWS) is -1.5 ns"),
        ("STUB_WNS", "", "no setup slack (WNS) is known"),
    ],
)
def test_failing_timing_exits_1_with_the_figure_and_copies_nothing(
    command, vivado, tmp_path, monkeypatch, capsys, variable, value, message
):
    monkeypatch.setenv(variable, value)
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 1
    assert message in capsys.readouterr().err
    assert names(tmp_path / "out") == LEFT | {"reports", "vivado", "vivado.log"}


def test_timing_that_is_met_exactly_is_met(command, vivado, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_WNS", "0.000")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 0


@pytest.mark.parametrize("run", ["synth_1", "impl_1"])
def test_a_failing_run_is_named_with_its_log(command, vivado, tmp_path, monkeypatch, capsys, run):
    monkeypatch.setenv("STUB_FAILED_RUN", run)
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 1
    assert f"{run} failed: place_design ERROR; see vivado/eie.runs/{run}/runme.log" in capsys.readouterr().err
    assert not names(tmp_path / "out") & set(RESULTS)


def test_a_failing_build_leaves_no_overlay_of_an_earlier_one(command, vivado, tmp_path, monkeypatch):
    arguments = ["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]
    assert command(arguments) == 0
    monkeypatch.setenv("STUB_WNS", "-1")
    assert command(arguments) == 1
    assert not names(tmp_path / "out") & set(RESULTS)


def test_without_a_vivado_the_command_leaves_a_directory_and_says_how_to_build_it(command, tmp_path, capsys):
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out")]) == 0
    assert names(tmp_path / "out") == LEFT
    printed = capsys.readouterr().out
    assert "There is no Vivado here, so there is no overlay yet." in printed
    assert "sh out/build.sh" in printed


@pytest.mark.parametrize("place", ["elsewhere", "with space [x] $y", "grün{"])
def test_the_directory_builds_with_one_command_wherever_it_is_moved(prepared, vivado, tmp_path, place):
    shutil.move(prepared, tmp_path / place)
    run = run_shell(tmp_path / place, vivado)
    assert run.returncode == 0, run.stdout + run.stderr
    assert set(RESULTS) <= names(tmp_path / place)


def test_the_shell_script_without_a_vivado_says_what_to_do(prepared, vivado):
    run = run_shell(prepared)
    assert run.returncode == 1
    assert "settings64.sh" in run.stderr
    assert run_shell(prepared, VIVADO=str(vivado)).returncode == 0


def test_the_scripts_name_no_path_of_this_machine(prepared):
    for name in ("build.sh", "build.tcl"):
        assert str(prepared.parent) not in (prepared / name).read_text()
        assert "/home" not in (prepared / name).read_text()


def test_an_older_vivado_is_refused_before_anything_is_written(command, vivado, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STUB_VERSION", "2021.2")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 1
    assert "is Vivado 2021.2; PYNQ-Z2 needs 2022.1 or newer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_script_itself_refuses_an_older_vivado(prepared, vivado):
    run = run_shell(prepared, vivado, STUB_VERSION="2021.2")
    assert run.returncode == 1
    assert "this is Vivado 2021.2; it must be 2022.1 or newer" in run.stderr
    assert names(prepared) == LEFT


@pytest.mark.parametrize("version", ["2022.2", "2024.1.2", "2025.2"])
def test_a_newer_vivado_builds_with_a_warning(command, vivado, tmp_path, monkeypatch, capsys, version):
    monkeypatch.setenv("STUB_VERSION", version)
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 0
    assert f"warning: Vivado {version} is newer than 2022.1" in capsys.readouterr().err
    assert f"WARNING: this is Vivado {version}" in (tmp_path / "out" / "vivado.log").read_text()


def test_a_vivado_is_found_on_path_or_in_its_directory(vivado, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", f"{vivado.parent}:/usr/bin:/bin")
    assert find_vivado().version == "2022.1"
    assert find_vivado(str(tmp_path)).executable == vivado
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert find_vivado() is None


def test_a_vivado_given_by_a_relative_path_runs(command, vivado, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command(["--board", "pynq-z2", "-o", "out", "--vivado", "bin/vivado"]) == 0


@pytest.mark.parametrize("path", ["nothing", "plain", "."])
def test_a_path_without_a_vivado_is_refused(tmp_path, path):
    (tmp_path / "plain").write_text("no executable")
    with pytest.raises(VivadoError, match="neither an executable nor a directory"):
        find_vivado(str(tmp_path / path))


def test_an_executable_that_is_no_vivado_is_refused():
    with pytest.raises(VivadoError, match="does not tell a version"):
        find_vivado("/bin/true")


@pytest.mark.parametrize(("text", "expected"), [("2022.1", (2022, 1)), ("v2024.1.2 (64-bit)", (2024, 1))])
def test_a_release_is_year_and_number(text, expected):
    assert release(text) == expected
    assert release("2024.1") < release("2024.2") < release("2025.1")


def test_a_vivado_that_claims_success_without_results_is_not_believed(prepared, tmp_path):
    liar = tmp_path / "liar"
    liar.write_text('#!/bin/sh\necho "vivado v2022.1"\n')
    liar.chmod(0o755)
    with pytest.raises(VivadoError, match=r"reports success, but there is no .*eie-pynq-z2\.bit"):
        build(Plan(board("pynq-z2"), prepared, find_vivado(str(liar))))


def test_building_without_a_vivado_is_refused_with_the_command_for_another_machine(prepared):
    with pytest.raises(VivadoError, match=r"there is no Vivado; on a machine that has one: sh .*build\.sh"):
        build(Plan(board("pynq-z2"), prepared))


def test_a_failing_conversion_leaves_the_directory_as_it_was(prepared):
    before = {path.name: path.read_bytes() for path in prepared.iterdir() if path.is_file()}

    def failing(config, directory):
        stub_converter(config, directory)
        raise DeviceError("the conversion failed")

    with pytest.raises(DeviceError):
        prepare(Plan(board("pynq-z2"), prepared), failing)
    assert names(prepared) == LEFT
    assert {path.name: path.read_bytes() for path in prepared.iterdir() if path.is_file()} == before


def test_a_directory_that_could_not_be_completed_has_no_shell_script(prepared, monkeypatch):
    def no_space(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build_module.os, "replace", no_space)
    with pytest.raises(EieError, match="No space left on device"):
        prepare(Plan(board("pynq-z2"), prepared), stub_converter)
    assert "build.sh" not in names(prepared)


def test_preparing_again_leaves_no_source_of_the_time_before(prepared):
    (prepared / "vhdl" / "stale.vhd").write_text("")
    prepare(Plan(board("pynq-z2"), prepared), stub_converter)
    assert names(prepared / "vhdl") == {"unit.vhd", "eie_top.vhd"}


def test_a_source_that_is_missing_is_named_before_vivado_starts_work(prepared, vivado):
    (prepared / "vhdl" / "unit.vhd").unlink()
    run = run_shell(prepared, vivado)
    assert run.returncode == 1
    assert "source file vhdl/unit.vhd is missing" in run.stderr
    assert not (prepared / "vivado").exists()


@pytest.mark.parametrize("name", board_names())
def test_a_dry_run_prints_the_plan_and_writes_nothing(command, tmp_path, capsys, name):
    assert command(["--board", name, "-o", str(tmp_path / "out"), "--dry-run"]) == 0
    printed, on = capsys.readouterr().out, board(name)
    for fact in (on.part, f"0x{on.array_address:08X}", f"{on.clock_mhz} MHz", f"eie-{name}.bit", on.title):
        assert fact in printed
    assert not (tmp_path / "out").exists()


def test_json_states_plan_and_result(command, vivado, tmp_path, capsys):
    arguments = ["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--json"]
    assert command([*arguments, "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["vivado"] is None and planned["built"] is None
    assert command([*arguments, "--vivado", str(vivado)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["sources"] == ["vhdl/unit.vhd", "vhdl/eie_top.vhd"]
    assert result["built"] == json.loads((tmp_path / "out" / "eie-pynq-z2.json").read_text())
    assert [Path(path).name for path in result["results"]] == RESULTS


def test_an_unknown_board_and_an_unusable_directory_are_refused(command, tmp_path, capsys):
    assert command(["--board", "zynqberry"]) == 1
    assert "the boards are kv260, pynq-z1" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "file")]) == 1
    assert "cannot be created" in capsys.readouterr().err
