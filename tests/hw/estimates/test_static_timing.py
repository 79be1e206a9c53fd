"""Static timing: the table is the database's, delays add up along paths, and today's array keeps its limit."""

import json
import re
from pathlib import Path

import pytest

from eie import ArrayConfig
from eie.errors import DeviceError
from eie_hw import cli
from eie_hw.estimates.cell_timing import DELAYS, launch, setup, through
from eie_hw.estimates.static_timing import WIRES, Wires, analyse

DATABASE = Path(__file__).parents[4] / "shared" / "data" / "zynq7_timings"
FLAT = Wires("flat", 1.0, 0.0, 0.0)
TABLE = json.loads(DELAYS.read_text())


def slowest(file, cells, pattern):
    """Return the slowest corner of the lines of some cells that a pattern finds: the last number of each."""
    text = (DATABASE / file).read_text()
    found = []
    for cell in re.split(r"\(CELL\n", text):
        if (name := re.search(r'CELLTYPE "([^"]*)"', cell)) and re.fullmatch(cells, name[1]):
            found += [float(number) for number in re.findall(rf"\({pattern} .*::(-?[\d.]+)\)+", cell)]
    return max(found)


@pytest.mark.skipif(not DATABASE.exists(), reason="needs the timings of Project X-Ray beside the project")
@pytest.mark.parametrize(
    ("expected", "file", "cells", "pattern"),
    [
        (TABLE["lut"], "CLBLM_L.sdf", "LUT6", r"IOPATH A\d O6"),
        (TABLE["flip_flop"]["clock"], "CLBLM_L.sdf", "REG_INIT_FF", "IOPATH CLK Q"),
        (TABLE["flip_flop"]["CE"], "CLBLM_L.sdf", "REG_INIT_FF", r"SETUP CE \(posedge CLK\)"),
        (TABLE["flip_flop"]["D"], "CLBLM_L.sdf", "REG_INIT_FF", r"SETUP DIN \(posedge CLK\)"),
        (TABLE["lut_ram"]["clock"], "CLBLM_L.sdf", "LUT_OR_MEM[56]LRAM", r"IOPATH CLK O\d"),
        (TABLE["lut_ram"]["D"], "CLBLM_L.sdf", "LUT_OR_MEM[56]LRAM", r"SETUP DI\d \(posedge CLK\)"),
        (TABLE["lut_ram"]["WE"], "CLBLM_L.sdf", "LUT_OR_MEM[56]LRAM", r"SETUP WE \(posedge CLK\)"),
        (TABLE["shift_register"]["clock"], "CLBLM_L.sdf", "LUT_OR_MEM[56]SHFREG", r"IOPATH CLK O\d"),
        (TABLE["muxf7"]["S"], "CLBLM_L.sdf", "SELMUX2_1", "IOPATH S0 OUT"),
        (TABLE["carry"]["CI"]["CO"][3], "CLBLM_L.sdf", "CARRY4", "IOPATH CIN CO3"),
        (TABLE["carry"]["S"][0]["O"][3], "CLBLM_L.sdf", "CARRY4", "IOPATH S0 O3"),
        (TABLE["carry"]["DI"][1]["CO"][2], "CLBLM_L.sdf", "CARRY4_BX", "IOPATH DI1 CO2"),
        (TABLE["block_ram"]["clock"], "BRAM_L.sdf", ".*DO[AB]_REG_[LU]_0_.*", r"IOPATH CLKARDCLK\w DO\w+"),
        (TABLE["block_ram"]["clock_registered"], "BRAM_L.sdf", ".*DO[AB]_REG_[LU]_1_.*", r"IOPATH CLKARDCLK\w DO\w+"),
        (TABLE["block_ram"]["ADDR"], "BRAM_L.sdf", "RAMBFIFO36E1", r"SETUP ADDR\w+ \(posedge \w+\)"),
        (TABLE["block_ram"]["WE"], "BRAM_L.sdf", "RAMBFIFO36E1", r"SETUP WE\w+ \(posedge \w+\)"),
        (TABLE["dsp"]["clock"], "DSP_L.sdf", "DSP48E1_PREG_1", "IOPATH CLK P"),
        (TABLE["dsp"]["A"], "DSP_L.sdf", "DSP48E1_AREG_1_A_INPUT_DIRECT", r"SETUP A \(posedge CLK\)"),
        (TABLE["dsp"]["C"], "DSP_L.sdf", "DSP48E1_CREG_0_PREG_1_USE_PATTERN_DETECT_NO_PATDET", r"SETUP C .*"),
        (
            TABLE["dsp"]["OPMODE"],
            "DSP_L.sdf",
            "DSP48E1_OPMODEREG_0_PREG_1_USE_PATTERN_DETECT_NO_PATDET",
            "SETUP OPMODE",
        ),
    ],
)
def test_a_delay_is_that_of_the_database(expected, file, cells, pattern):
    assert slowest(file, cells, pattern) == pytest.approx(expected, abs=1e-9)


def cell(kind, inputs, outputs, **parameters):
    directions = {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")}
    connections = {name: [bit] for name, bit in {**inputs, **outputs}.items()}
    return {"type": kind, "connections": connections, "port_directions": directions, "parameters": parameters}


def netlist(**cells):
    return {"cells": cells, "netnames": {f"net{bit}": {"bits": [bit]} for bit in range(20)}}


def test_delays_add_up_along_a_path_and_a_lut_beside_its_register_has_no_wire():
    between = {
        "a": cell("FDRE", {"C": 0, "D": 9, "CE": "1", "R": "0"}, {"Q": 1}),
        "b": cell("LUT2", {"I0": 1, "I1": 9}, {"O": 2}),
        "c": cell("FDRE", {"C": 0, "D": 2, "CE": "1", "R": "0"}, {"Q": 3}),
    }
    timing = analyse(netlist(**between), FLAT)
    expected = 0.362 + 1 + 0.124 + 0 - 0.045
    assert timing.longest_ns == pytest.approx(expected)
    path, _ = timing.paths[0]
    assert [step.cell for step in path] == ["FDRE", "LUT2", "FDRE.D"]
    assert path[-1].at_ns == pytest.approx(expected)
    # A second load of the LUT is elsewhere: now there are wires to both.
    between["d"] = cell("FDRE", {"C": 0, "D": 2, "CE": "1", "R": "0"}, {"Q": 4})
    assert analyse(netlist(**between), FLAT).longest_ns == pytest.approx(expected + 1)


def test_a_carry_chain_goes_from_slice_to_slice_without_a_wire():
    def carry(low, ins, out):
        connections = {"CI": [low], "S": ins, "DI": ["0"] * 4, "CYINIT": ["0"], "CO": [None, None, None, out], "O": []}
        directions = {name: "output" if name in ("CO", "O") else "input" for name in connections}
        return {"type": "CARRY4", "connections": connections, "port_directions": directions, "parameters": {}}

    cells = {
        "a": cell("FDRE", {"C": 0, "D": 9, "CE": "1", "R": "0"}, {"Q": 1}),
        "b": carry("0", [1, "0", "0", "0"], 2),
        "c": carry(2, ["0"] * 4, 3),
        "d": cell("FDRE", {"C": 0, "D": 3, "CE": "1", "R": "0"}, {"Q": 4}),
    }
    assert analyse(netlist(**cells), FLAT).longest_ns == pytest.approx(0.362 + 1 + 0.508 + 0 + 0.117 + 0 - 0.045)


def test_many_loads_make_a_wire_longer():
    for wires in WIRES:
        assert wires.delay(1) == wires.base
        assert wires.delay(4) == pytest.approx(wires.base + 2 * wires.per_octave)
        assert wires.delay(257) > wires.delay(256) + wires.wide
    assert [wires.delay(100) for wires in WIRES] == sorted(wires.delay(100) for wires in WIRES)


def test_a_loop_of_luts_is_refused_by_a_signal_of_it():
    loop = {"a": cell("LUT2", {"I0": 2, "I1": 9}, {"O": 1}), "b": cell("LUT1", {"I0": 1}, {"O": 2})}
    with pytest.raises(DeviceError, match=r"2 signals are in combinational loops, one is net[12]"):
        analyse(netlist(**loop), FLAT)


def test_a_cell_without_delays_is_refused():
    with pytest.raises(DeviceError, match="'LDCE' are not known"):
        analyse(netlist(a=cell("LDCE", {"D": 1}, {"Q": 2})), FLAT)


@pytest.mark.parametrize("kind", ["FDRE", "RAMB18E1", "RAMB36E1", "DSP48E1", "RAM64M", "RAM128X1S", "SRL16E"])
def test_a_clocked_cell_launches_and_a_memory_of_luts_is_also_read_at_once(kind):
    assert launch(kind, "Q" if kind == "FDRE" else "DOADO", {}) > 0
    assert bool(list(through(kind))) == (kind in ("RAM64M", "RAM128X1S", "SRL16E"))
    assert setup(kind, "CLK" if kind != "FDRE" else "C") is None


@pytest.mark.full
def test_no_path_of_the_default_array_is_above_its_limit(capsys, tmp_path):
    page = tmp_path / "timing.md"
    assert cli.main(["timing", "--pes", str(ArrayConfig().num_pes), "--limit", "10", "--markdown", str(page)]) == 0
    text = page.read_text()
    assert text.count(" ns**, ") == 10
    # An array that is no board's is called by its number of PEs, once.
    assert text.startswith(f"# Static timing: {ArrayConfig().num_pes} PEs\n")
