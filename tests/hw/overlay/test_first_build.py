"""docs/first-build.md tells of the messages that the build prints, each in the words in which it does."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.hw.overlay_bench import needs_tclsh, run_in_stub, stub_converter

from eie.boards.board import board
from eie_hw.overlay.build import Plan, prepare
from eie_hw.overlay.script import BuildOptions

pytestmark = needs_tclsh
PAGE = Path(__file__).parents[3] / "docs" / "first-build.md"

ATTRIBUTES_LOST = ("vhdl/eie_top.vhd", "x_interface_parameter of", "x of")
NOT_ASSOCIATED = ("build.tcl", "    eie::associate ", "    list ")
NOT_STATED = ("build.tcl", "catch {set_property CONFIG.ASSOCIATED_BUSIF", "catch {list")

# How each is brought about: board, changes of files (file, text, other text), what the stub is told.
CASES = {
    "the packager found no interface s_axis in eie_top": (
        ("pynq-z2", [("vhdl/eie_top.vhd", "s_axis_tdata", "s_axis_data")], {})
    ),
    "the catalogue has no eie:eie:eie_top:1.0 after packaging": ("pynq-z2", [], {"HIDDEN": "eie:eie:eie_top:1.0"}),
    "get_bd_pins ... finds 0 objects": ("pynq-z2", [("build.tcl", "axi_dma_0/axi_resetn", "axi_dma_0/resetn")], {}),
    "eie_top_0/aclk clocks '', must be ...": ("zcu104", [ATTRIBUTES_LOST, NOT_STATED], {}),
    "... has a frequency of ... Hz, its clock ...": (
        ("zcu104", [ATTRIBUTES_LOST, NOT_ASSOCIATED, ("build.tcl", "    validate_bd_design\n", "")], {})
    ),
    "zynq_ultra_ps_e_0/pl_clk0 has ... MHz, must be ...": ("kv260 at 142.857 MHz", [], {"PLL": "1500"}),
    "Vivado supposes a PLL of ...": ("kv260", [], {"PLL": "1500"}),
    "reaches ... MiB of ...HP0_DDR_LOW": ("zcu104", [], {"MEMORY": str(1 << 30)}),
    "this release has no xilinx.com:ip:axi_interconnect": (
        ("pynq-z2", [], {"HIDDEN": "xilinx.com:ip:axi_interconnect:2.1"})
    ),
    "the array does not fit: ... LUTs as memory": ("pynq-z2", [], {"LUTRAM": "18100"}),
    "more than 80 % of the LUTs that can be memory": ("pynq-z2", [], {"LUTRAM": "14500"}),
    "timing is not met with ...: setup slack ... ns, reachable ... MHz": ("pynq-z2", [], {"WNS": "-0.4 0.1"}),
    "timing is not met: ... build for it with --clock-mhz ..., or publish it with --slower": (
        ("pynq-z2", [], {"WNS": "-0.217"})
    ),
    "hold slack (WHS) is -...": ("pynq-z2", [], {"WHS": "-0.004"}),
    "pulse width slack (TPWS) is -...": ("pynq-z2", [], {"TPWS": "-1.5"}),
    "impl_1 failed: place_design ERROR": ("pynq-z2", [], {"FAILED_RUN": "impl_1"}),
}
OF_VIVADO = {"[Synth 8-...]"}


@pytest.mark.parametrize("message", CASES)
def test_a_message_of_the_page_is_one_of_the_build(message, tmp_path):
    name, changes, told = CASES[message]
    described = board(name.split()[0])
    if " at " in name:
        described = replace(described, clock_mhz=float(name.split()[2]))
    # Of a module reference: the clock of a packaged array is stated by the packager as well.
    packaged = NOT_STATED not in changes and NOT_ASSOCIATED not in changes
    prepare(Plan(described, tmp_path, options=BuildOptions(packaged=packaged)), stub_converter)
    for file, text, other in changes:
        path = tmp_path / file
        assert text in path.read_text()
        path.write_text(path.read_text().replace(text, other))
    run, _ = run_in_stub(tmp_path, **{f"STUB_{key}": value for key, value in told.items()})
    pattern = ".*".join(re.escape(part) for part in message.split("..."))
    assert re.search(pattern, run.stdout + run.stderr), run.stdout + run.stderr


def test_the_page_tells_of_these_messages_and_no_others():
    tables = PAGE.read_text(encoding="utf-8").split("**5. Done**")[0]
    cells = [line.split("|")[1] for line in tables.splitlines() if line.startswith("| ")]
    told = {message for cell in cells for message in re.findall(r"`([^`]+)`", cell) if " " in message}
    assert told - OF_VIVADO == set(CASES)
