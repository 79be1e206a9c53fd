"""The build of an overlay: whole or not at all, on this machine or on another."""

import dataclasses
import json
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.hw.overlay_bench import (
    LEFT,
    RAN,
    RESULTS,
    calls,
    names,
    needs_tclsh,
    stub_converter,
)

from eie.boards.board import board, board_names
from eie.boards.fpga import device_of
from eie.contract import isa, registers
from eie_hw import cli
from eie_hw.overlay.build import Plan, prepare
from eie_hw.overlay.script import STRATEGIES
from eie_hw.parts.memories import template_files

pytestmark = needs_tclsh


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


def test_json_states_plan_and_result(command, vivado, tmp_path, capsys):
    arguments = ["--board", "pynq-z2", "-o", str(tmp_path / "out"), "--json"]
    assert command([*arguments, "--dry-run"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["vivado"] is None and planned["built"] is None
    assert command([*arguments, "--vivado", str(vivado)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["sources"] == ["vhdl/control_unit.vhd", "vhdl/eie_top.vhd"]
    assert result["built"] == json.loads((tmp_path / "out" / "eie-pynq-z2.json").read_text())
    assert [Path(path).name for path in result["results"]] == RESULTS


@pytest.mark.parametrize("name", board_names())
def test_the_files_that_are_estimated_are_the_files_that_are_built(monkeypatch, tmp_path, name):
    asked = []

    def converter(config, directory, hdl="VHDL", target="simulation"):
        asked.append((config, hdl, template_files(target, config.ultra_ram)))
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
    assert ("ultra_ram" in built[2]) == board(name).config.ultra_ram


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
