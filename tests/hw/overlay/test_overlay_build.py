"""The build of an overlay: whole or not at all, on this machine or on another."""

import dataclasses
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.hw.overlay_bench import calls, install_stub, needs_tclsh, stub_converter

from eie.boards.board import board, board_names
from eie.boards.fpga import device_of
from eie.contract import isa, registers
from eie.errors import DeviceError, EieError
from eie_hw import cli
from eie_hw.overlay import build as build_module
from eie_hw.overlay.build import Plan, build, prepare
from eie_hw.overlay.script import STRATEGIES
from eie_hw.overlay.vivado import VivadoError, find_vivado, release
from eie_hw.parts.memories import template_files

SCRIPT = Path(__file__).parents[3] / "scripts" / "build_overlay.py"
RESULTS = ["eie-pynq-z2.bit", "eie-pynq-z2.hwh", "eie-pynq-z2.json"]
LEFT = {"build.py", "build.tcl", "vhdl"}
RAN = {"ip", "reports", "reports.zip", "vivado", "vivado.log", "vivado_ip"}

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
        [sys.executable, str(directory / "build.py")],
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
    assert names(tmp_path / "out") == LEFT | results | RAN
    stated = json.loads((tmp_path / "out" / f"eie-{name}.json").read_text())
    assert stated["hash"] == f"0x{registers.build_hash(described.config):08x}"
    assert stated["array"] == described.config.to_dict()
    assert (stated["instruction_set_version"], stated["register_map_version"]) == (isa.VERSION, registers.VERSION)
    assert (stated["vivado"], stated["setup_slack_ns"], stated["hold_slack_ns"]) == ("2022.1", 0.123, 0.045)
    assert (stated["clock_mhz"], stated["memory_bytes"]) == (described.clock_mhz, described.memory_bytes)
    for ending in ("bit", "hwh"):
        assert described.design_name in (tmp_path / "out" / f"eie-{name}.{ending}").read_text()
    assert "setup slack 0.123 ns, hold slack 0.045 ns" in capsys.readouterr().out


REPORTS = {
    *("utilization.rpt", "utilization_by_unit.rpt", "timing.rpt", "worst_paths.rpt", "control_sets.rpt"),
    *("high_fanout_nets.rpt", "congestion.rpt", "methodology.rpt", "drc.rpt", "power.rpt"),
}


def test_reports_of_synthesis_and_of_each_implementation_are_collected(command, vivado, tmp_path):
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 0
    reports = tmp_path / "out" / "reports"
    assert names(reports) == {"impl_1", "synthesis_utilization.rpt", "synthesis_utilization_by_unit.rpt"}
    assert names(reports / "impl_1") == REPORTS
    assert "LUT as Memory" in (reports / "synthesis_utilization.rpt").read_text()


@pytest.mark.parametrize(
    ("failing", "log"), [({}, "impl_1"), ({"STUB_WNS": "-1"}, "impl_3"), ({"STUB_FAILED_RUN": "synth_1"}, "synth_1")]
)
def test_reports_and_logs_are_in_one_archive_however_the_build_ends(
    command, vivado, tmp_path, monkeypatch, failing, log
):
    for name, value in failing.items():
        monkeypatch.setenv(name, value)
    code = command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)])
    assert code == (1 if failing else 0)
    with zipfile.ZipFile(tmp_path / "out" / "reports.zip") as archive:
        assert {"build.tcl", "vivado.log", f"vivado/eie.runs/{log}/runme.log"} <= set(archive.namelist())
        assert ("reports/impl_1/worst_paths.rpt" in archive.namelist()) == ("STUB_FAILED_RUN" not in failing)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        (
            "STUB_WNS",
            "-0.217",
            "setup slack (WNS) is -0.217 ns, the reachable clock 97.9 MHz; build for it with --clock-mhz",
        ),
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
    assert names(tmp_path / "out") == LEFT | RAN


def test_a_miss_is_tried_again_with_the_other_strategies(command, vivado, tmp_path, monkeypatch):
    monkeypatch.setenv("STUB_WNS", "-0.4 -0.1 0.02")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 0
    stated = json.loads((tmp_path / "out" / "eie-pynq-z2.json").read_text())
    assert (stated["strategy"], stated["setup_slack_ns"], stated["clock_mhz"]) == (STRATEGIES[2], 0.02, 100)
    log = (tmp_path / "out" / "vivado.log").read_text()
    assert f"timing is not met with {STRATEGIES[0]}: setup slack -0.4 ns, reachable 96.2 MHz" in log
    assert f"timing is not met with {STRATEGIES[1]}: setup slack -0.1 ns, reachable 99.0 MHz" in log
    assert {"impl_1", "impl_2", "impl_3"} <= names(tmp_path / "out" / "reports")


def test_a_slower_overlay_is_published_for_the_clock_of_the_best_try(command, vivado, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STUB_WNS", "-3 -1.2 -2")
    record = tmp_path / "record"
    monkeypatch.setenv("STUB_RECORD", str(record))
    assert command(["--board", "zcu104", "-o", str(tmp_path / "out"), "--vivado", str(vivado), "--slower"]) == 0
    stated = json.loads((tmp_path / "out" / "eie-zcu104.json").read_text())
    # 1 / (6.667 + 1.2 ns) is 127.1 MHz; a twelfth of the PLL's 1500 MHz is the next below.
    assert (stated["clock_mhz"], stated["strategy"]) == (125, STRATEGIES[1])
    assert stated["setup_slack_ns"] == pytest.approx(8 - 1e3 / 150 - 1.2, abs=0.001)
    assert "timing is met at 125 MHz" in capsys.readouterr().out
    clocks = [
        call[3] for call in calls(record) if call[:1] == ["parameter"] and call[2].endswith("PL0_REF_CTRL__FREQMHZ")
    ]
    assert clocks == ["150", "125"]


@pytest.mark.parametrize("variable", ["STUB_WHS", "STUB_TPWS"])
def test_what_no_slower_clock_cures_is_not_published(command, vivado, tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, "-0.01")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado), "--slower"]) == 1
    assert not names(tmp_path / "out") & set(RESULTS)


def test_a_build_for_another_clock_states_it_everywhere(command, vivado, tmp_path, capsys):
    arguments = ["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado), "--clock-mhz", "83.333"]
    assert command(arguments) == 0
    assert json.loads((tmp_path / "out" / "eie-pynq-z2.json").read_text())["clock_mhz"] == 83.333
    assert "PCW_FPGA0_PERIPHERAL_FREQMHZ 83.333" in (tmp_path / "out" / "build.tcl").read_text()
    assert "64 PEs at 83.333 MHz" in capsys.readouterr().out


def test_a_clock_that_the_pll_does_not_give_is_refused_with_its_neighbours(command, tmp_path, capsys):
    assert command(["--board", "kv260", "-o", str(tmp_path / "out"), "--clock-mhz", "150"]) == 1
    assert "its PLL has 1000 MHz; the nearest are 142.857 and 166.667 MHz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_array_that_does_not_fit_ends_the_build_right_after_synthesis(
    command, vivado, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("STUB_LUTRAM", "17401")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 1
    assert "the array does not fit: 17401 LUTs as memory, the part has 17400" in capsys.readouterr().err
    assert not (tmp_path / "out" / "vivado" / "eie.runs" / "impl_1").exists()


@pytest.mark.parametrize(("used", "warned"), [("13920", False), ("13921", True)])
def test_much_memory_in_luts_is_warned_of(command, vivado, tmp_path, monkeypatch, used, warned):
    monkeypatch.setenv("STUB_LUTRAM", used)
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 0
    log = (tmp_path / "out" / "vivado.log").read_text()
    assert ("more than 80 % of the LUTs that can be memory" in log) == warned


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
    assert "python out/build.py" in printed


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


def test_an_older_vivado_is_refused_before_anything_is_written(command, vivado, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("STUB_VERSION", "2021.2")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--vivado", str(vivado)]) == 1
    assert "is Vivado 2021.2; PYNQ-Z2 needs 2022.1 or newer" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_script_itself_refuses_an_older_vivado(prepared, vivado):
    run = run_shell(prepared, vivado, STUB_VERSION="2021.2")
    assert run.returncode == 1
    assert "this is Vivado 2021.2; it must be 2022.1 or newer" in run.stdout
    assert names(prepared) == LEFT | {"reports.zip", "vivado.log"}


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
    with pytest.raises(VivadoError, match=r"there is no Vivado; on a machine that has one: python .*build\.py"):
        build(Plan(board("pynq-z2"), prepared))


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
    assert names(prepared / "vhdl") == {"unit.vhd", "eie_top.vhd"}


def test_a_source_that_is_missing_is_named_before_vivado_starts_work(prepared, vivado):
    (prepared / "vhdl" / "unit.vhd").unlink()
    run = run_shell(prepared, vivado)
    assert run.returncode == 1
    assert "source file vhdl/unit.vhd is missing" in run.stdout
    assert not (prepared / "vivado").exists()


@pytest.mark.parametrize("name", board_names())
def test_a_dry_run_prints_the_plan_and_writes_nothing(command, tmp_path, capsys, name):
    assert command(["--board", name, "-o", str(tmp_path / "out"), "--dry-run"]) == 0
    printed, on = capsys.readouterr().out, board(name)
    for fact in (on.part, f"0x{on.array_address:08X}", f"{on.clock_mhz:g} MHz", f"eie-{name}.bit", on.title):
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
    assert "the boards are aup-zu3, kr260, kv260, pynq-z1" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert command(["--board", "pynq-z2", "-o", str(tmp_path / "file")]) == 1
    assert "cannot be created" in capsys.readouterr().err


@pytest.mark.parametrize("name", board_names())
def test_the_files_that_are_estimated_are_the_files_that_are_built(monkeypatch, tmp_path, name):
    asked = []

    def converter(config, directory, hdl="VHDL", target="simulation"):
        asked.append((config, hdl, template_files(target)))
        return stub_converter(config, Path(directory) / "vhdl", target)

    prepare(Plan(board(name), tmp_path / "out"), converter)
    monkeypatch.setattr("eie_hw.estimates.utilisation.convert", converter)
    monkeypatch.setattr("eie_hw.estimates.utilisation.synthesise", lambda files, top, family: {top: {"LUT6": 1}})
    assert cli.main(["resources", "--board", name, "--json"]) in (0, 1)
    built, estimated = asked
    assert built == estimated
    slices = {"xc7": "multiply_accumulate_dsp48e1", "xcup": "multiply_accumulate_dsp48e2"}
    assert slices[device_of(board(name).part).family] in built[2]
    assert "multiply_accumulate" not in built[2]


def test_the_command_is_one_of_a_shell_wherever_the_directory_lies(tmp_path):
    directory = tmp_path / "a b; touch x"
    assert shlex.split(Plan(board("pynq-z2"), directory).command) == ["python", str(directory / "build.py")]


def test_a_title_of_a_board_is_text_and_never_a_command(vivado, tmp_path):
    title = 'X\ntouch title_was_run\n[exec touch title_was_run] $x "'
    prepare(Plan(dataclasses.replace(board("pynq-z2"), title=title), tmp_path / "out"), stub_converter)
    run = subprocess.run(
        [sys.executable, "build.py", "--vivado", str(vivado)], cwd=tmp_path / "out", capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert not list(tmp_path.rglob("title_was_run"))
    assert json.loads((tmp_path / "out" / "eie-pynq-z2.json").read_text())["board"] == title
