"""`eie-hw resources`: the rules of counting, one PE within its budget, and the whole array of the PYNQ-Z2."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from eie.boards.board import board, board_names
from eie.boards.fpga import device_of
from eie.contract.config import ArrayConfig
from eie.errors import ConfigError, DeviceError, MissingExtraError
from eie_hw import cli
from eie_hw.conversion.convert import convert
from eie_hw.estimates.synthesis import synthesise
from eie_hw.estimates.utilisation import (
    Unit,
    Usage,
    count_units,
    exceeded_limits,
    exceeded_units,
    load_budget,
    total,
    usage_of,
    utilisation,
)

CHILD = """\
module child(input clk, input write, input [4:0] a, input [4:0] b, input [5:0] d, output [5:0] q);
    reg [5:0] memory [0:31];
    always @(posedge clk) if (write) memory[a] <= d;
    assign q = memory[b];
endmodule
"""
PARENT = """\
module parent(input clk, input write, input [4:0] a, input [4:0] b, input [5:0] d, output reg [5:0] q);
    wire [5:0] x, y;
    child one(clk, write, a, b, d, x);
    child two(clk, write, a, b, x, y);
    always @(posedge clk) q <= x ^ y;
endmodule
"""


CHOOSER = """\
library IEEE;
use IEEE.std_logic_1164.all;
use IEEE.numeric_std.all;
entity chooser is port (a: in unsigned(2 downto 0); q: out unsigned(3 downto 0)); end entity;
architecture MyHDL of chooser is begin
    process (a) is begin
        case to_integer(a) is
            when 0 => q <= "0001";
            when 1 => q <= "0110";
            when 2 => q <= "1011";
            when others => q <= "0101";
        end case;
    end process;
end architecture;
"""


@pytest.mark.parametrize(
    "cells, luts",
    [
        ({"LUT1": 1, "LUT6": 2, "INV": 1}, 4),
        ({"RAM64M": 1, "RAM32M": 2}, 12),
        ({"RAM32X1D": 1, "RAM64X1D": 1, "RAM128X1D": 1}, 8),
        ({"RAM64X1S": 1, "RAM128X1S": 1, "RAM256X1S": 1}, 7),
        ({"SRL16E": 2, "SRLC32E": 1}, 3),
        ({"RAM64M8": 1, "RAM32M16": 1, "CARRY8": 2, "DSP48E2": 1, "RAMB36E2": 1, "MUXF9": 1}, 16),
        ({"FDRE": 9, "CARRY4": 3, "MUXF7": 2, "MUXF8": 1, "DSP48E1": 1, "RAMB36E1": 1}, 0),
    ],
)
def test_cells_cost_the_luts_of_the_device(cells, luts):
    assert usage_of(cells).luts == luts


def test_other_cells_are_counted_by_kind_and_ramb18_as_halves():
    usage = usage_of({"FDRE": 2, "FDSE": 1, "RAMB18E1": 1, "RAMB36E1": 2, "DSP48E1": 4, "MUXF7": 1, "MUXF8": 1})
    assert (usage.flip_flops, usage.ramb36, usage.dsps, usage.muxf) == (3, 2.5, 4, 2)
    assert usage_of({"URAM288": 3}) == Usage(ultra_rams=3)


def test_a_cell_of_unknown_cost_is_refused():
    with pytest.raises(DeviceError, match="RAM1024X1S"):
        usage_of({"RAM1024X1S": 1})


def test_a_unit_counts_as_often_as_it_is_used():
    modules = {"top": {"pe": 2, "LUT2": 1}, "pe": {"queue": 3, "LUT6": 10}, "queue": {"RAM32M": 1}}
    units = {unit.name: unit for unit in count_units(modules, "top")}
    assert {name: unit.instances for name, unit in units.items()} == {"top": 1, "pe": 2, "queue": 6}
    assert total(list(units.values())).luts == 1 + 2 * 10 + 6 * 4


def test_limits_exceeded_are_named():
    usage = Usage(logic_luts=42_001, ramb18=257, dsps=128)
    assert exceeded_limits(usage, {"luts": 42_000, "ramb36": 128, "dsps": 128}, "the budget") == [
        "42001 LUTs: the budget allows 42000",
        "128.5 RAMB36 equivalents: the budget allows 128",
    ]


def test_units_over_budget_or_without_one_are_named():
    units = [Unit("grown", 64, Usage(logic_luts=11)), Unit("new", 1, Usage()), Unit("fits", 1, Usage(memory_luts=8))]
    sentences = exceeded_units(units, {"units": {"grown": 10, "fits": 8}})
    assert [sentence.split()[0] for sentence in sentences] == ["grown", "new"]


def test_every_board_has_a_device():
    assert all(device_of(board(name).part).luts > 40_000 for name in board_names())
    with pytest.raises(ConfigError, match="xc7z020"):
        device_of("xc7a35tcpg236-1")


def test_the_command_reports_and_fails_over_budget(monkeypatch, capsys, tmp_path):
    units = [Unit("pointer_read", 64, Usage(logic_luts=900, ramb18=2))]
    monkeypatch.setattr("eie_hw.estimates.utilisation.utilisation", lambda config, directory, hdl, family: units)
    assert cli.main(["resources", "--board", "pynq-z2", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["total"]["luts"] == 57_600 and report["device"]["luts"] == 53_200
    assert report["total"]["slicem_luts"] == 0 and report["device"]["slicem_luts"] == 17_400
    assert [sentence.split()[0] for sentence in report["exceeded"]] == ["60350", "57600", "pointer_read"]

    page = tmp_path / "resources.md"
    assert cli.main(["resources", "--pes", "4", "--markdown", str(page)]) == 0
    assert "| pointer_read | 64 | 900 | 0 | 0 | 900 |" in page.read_text()


def test_yosys_keeps_the_hierarchy_and_finds_the_memory(tmp_path):
    for name, text in (("child", CHILD), ("parent", PARENT)):
        (tmp_path / f"{name}.v").write_text(text)
    modules = synthesise([tmp_path / "child.v", tmp_path / "parent.v"], "parent")
    assert modules["parent"]["child"] == 2
    units = {unit.name: unit.usage for unit in count_units(modules, "parent")}
    assert (units["child"].memory_luts, units["parent"].logic_luts, units["parent"].flip_flops) == (4, 6, 6)


def test_a_syntax_error_is_reported_with_yosys_words(tmp_path):
    (tmp_path / "broken.v").write_text("module broken(input a; endmodule\n")
    with pytest.raises(DeviceError, match="syntax error"):
        synthesise([tmp_path / "broken.v"], "broken")


def test_vhdl_and_verilog_of_a_queue_take_the_same_cells(tmp_path):
    config = ArrayConfig(num_pes=4)
    usages = []
    for hdl in ("VHDL", "Verilog"):
        modules = synthesise(convert(config, tmp_path / hdl, hdl, "xc7"), "activation_queue", own_names=True)
        usages.append(total(count_units(modules, "activation_queue")))
    # Yosys maps logic in an order that depends on names: that may make a LUT more or less.
    vhdl, verilog = usages
    assert abs(vhdl.logic_luts - verilog.logic_luts) <= 1
    assert replace(vhdl, logic_luts=0) == replace(verilog, logic_luts=0)
    assert usages[0].memory_luts > 0, "the attribute that asks for distributed memory gets through"


def test_the_last_choice_of_a_case_in_vhdl_asks_for_no_latch(tmp_path):
    (tmp_path / "chooser.vhd").write_text(CHOOSER)
    cells = synthesise([tmp_path / "chooser.vhd"], "chooser")["chooser"]
    assert set(cells) <= {f"LUT{inputs}" for inputs in range(1, 7)} | {"INV", "$scopeinfo"}


def test_vhdl_without_ghdl_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("eie_hw.estimates.synthesis.shutil.which", lambda name: None)
    (tmp_path / "queue.vhd").write_text("")
    with pytest.raises(MissingExtraError, match="--hdl Verilog"):
        synthesise([tmp_path / "queue.vhd"], "queue")


def test_a_processing_element_is_within_its_budget(tmp_path):
    units = utilisation(ArrayConfig(num_pes=4), tmp_path, top="processing_element")
    assert Counter(unit.instances for unit in units) == {1: 7}
    assert exceeded_units(units, load_budget()) == []
    usage = total(units)
    assert (usage.dsps, usage.ramb36) == (1, 2)
    # 29 of them for a queue of 32 in place of 16, 10 for tags and parts of the accumulators.
    assert usage.luts <= 300


@pytest.mark.parametrize("hdl", ["VHDL", pytest.param("Verilog", marks=pytest.mark.full)])
def test_entries_are_in_ultra_ram_where_the_array_says_so(hdl, tmp_path):
    in_block_ram = ArrayConfig(num_pes=4, entries=16384, activations=512)
    for name, config in (("block", in_block_ram), ("ultra", replace(in_block_ram, ultra_ram=True))):
        units = utilisation(config, tmp_path / name, top="sparse_matrix_read", hdl=hdl, family="xcup")
        assert (total(units).ultra_rams, total(units).ramb36) == {"ultra": (1, 0), "block": (0, 8)}[name]


def test_seven_series_devices_have_no_ultra_ram(tmp_path):
    with pytest.raises(DeviceError, match="no UltraRAM"):
        utilisation(ArrayConfig(num_pes=4, ultra_ram=True), tmp_path)


@pytest.mark.full
def test_the_pynq_z2_array_is_within_its_budget(capsys):
    assert cli.main(["resources", "--board", "pynq-z2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["exceeded"] == []
    assert report["units"]["processing_element"]["instances"] == 64
    assert report["total"]["luts"] <= 38_000
