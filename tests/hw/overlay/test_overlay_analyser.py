"""A logic analyser in the overlay: what it watches, what it needs, and that the array is otherwise the same."""

from dataclasses import replace

import pytest
from tests.hw.overlay_bench import assert_ghdl_accepts, names, needs_tclsh, run_in_stub, stub_converter

from eie.boards.board import ARRAY_CELL, board, board_names
from eie.boards.fpga import device_of
from eie.boards.resources import BESIDES_RAMB36, estimate
from eie.contract.config import ArrayConfig
from eie.errors import ConfigError, EieError
from eie_hw.conversion.convert import convert
from eie_hw.overlay.analyser import MARKED, analyser_ramb36, check_room, mark_signals
from eie_hw.overlay.block_design import block_design
from eie_hw.overlay.build import Plan, prepare
from eie_hw.overlay.script import BuildOptions

pytestmark = needs_tclsh


def with_pes(name, pes):
    return replace(board(name), config=replace(board(name).config, num_pes=pes))


def built(directory, packaged=True, **environment):
    options = BuildOptions(analyser=True, packaged=packaged)
    prepare(Plan(with_pes("pynq-z2", 32), directory, options=options), stub_converter)
    run, recorded = run_in_stub(directory, **environment)
    assert run.returncode == 0, run.stderr
    return run, recorded


def test_it_watches_both_streams_and_the_registers(tmp_path):
    _, recorded = built(tmp_path)
    assert {call[1] for call in recorded if call[0] == "monitor"} == {
        f"{ARRAY_CELL}/{name}" for name in ("s_axis", "m_axis", "s_axi")
    }


@pytest.mark.parametrize("packaged", [True, False])
def test_it_watches_the_state_of_the_control_unit_and_why_it_refuses_an_instruction(tmp_path, packaged):
    run, recorded = built(tmp_path, packaged)
    probes = [call[2:] for call in recorded if call[0] == "probe" and call[1] != "clk"]
    watched = {nets[0].rsplit("/", 1)[1].partition("[")[0]: len(nets) for nets in probes}
    assert watched == {"state": 3, "header": 64, "fault": 8, "good": 1, "is_load": 1, "done": 1}
    assert "6 signals inside the array are watched" in run.stdout


def test_the_hardware_manager_gets_the_names_of_the_signals(tmp_path):
    built(tmp_path)
    assert "eie-pynq-z2.ltx" in names(tmp_path)


def test_signals_that_synthesis_does_not_keep_are_warned_of_and_the_rest_is_watched(tmp_path):
    run, recorded = built(tmp_path, STUB_MARKS="0")
    assert "synthesis has left no marked register" in run.stdout
    assert sum(call[0] == "monitor" for call in recorded) == 3
    assert not [call for call in recorded if call[0] == "probe"]


def test_without_it_nothing_is_marked_and_no_constraints_are_added(tmp_path):
    prepare(Plan(board("pynq-z2"), tmp_path), stub_converter)
    assert "mark_debug" not in (tmp_path / "vhdl" / "control_unit.vhd").read_text()
    run, recorded = run_in_stub(tmp_path)
    assert run.returncode == 0, run.stderr
    assert not [call for call in recorded if call[0] in ("add_constraints", "probe", "monitor")]
    assert "eie-pynq-z2.ltx" not in names(tmp_path)


@pytest.mark.parametrize("name", board_names())
def test_an_analyser_without_room_is_refused_with_an_array_that_leaves_room(name):
    described = board(name)
    if (
        estimate(described.config).ramb36 + BESIDES_RAMB36 + analyser_ramb36(described.config)
        <= device_of(described.part).ramb36
    ):
        check_room(described)
        return
    with pytest.raises(ConfigError, match=r"take [0-9.]+ block RAMs, .* has 14.; look at a smaller array: --pes 32"):
        block_design(described, analyser=True)
    check_room(with_pes(name, 32))


def test_the_command_refuses_it_before_anything_is_written_and_builds_the_smaller_array(command, tmp_path, capsys):
    choice = ["--board", "pynq-z2", "--ila", "-o", str(tmp_path / "out")]
    assert command(choice) == 1
    assert "xc7z020 has 140; look at a smaller array: --pes 32" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert command([*choice, "--pes", "32"]) == 0
    assert "32 PEs at 100 MHz" in capsys.readouterr().out


def test_the_converted_control_unit_has_the_signals_and_ghdl_takes_them_marked(tmp_path):
    files = convert(ArrayConfig(num_pes=1), tmp_path, target="xc7", hdl="VHDL")
    mark_signals(files)
    text = (tmp_path / "control_unit.vhd").read_text()
    assert [text.count(f'mark_debug of {name}: signal is "true"') for name in MARKED] == [1] * len(MARKED)
    assert_ghdl_accepts(tmp_path, [file.name for file in files])


def test_a_control_unit_without_the_signals_is_refused(tmp_path):
    (tmp_path / "control_unit.vhd").write_text("architecture a of control_unit is\nsignal header: bit;\nbegin\n")
    for files in ([tmp_path / "control_unit.vhd"], []):
        with pytest.raises(EieError, match="has no signal state"):
            mark_signals(files)
