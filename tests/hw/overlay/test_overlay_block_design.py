"""The block designs of the boards, built in a stub that refuses what Vivado refuses."""

import dataclasses
import json
import re

import pytest
from tests.hw.overlay_bench import assert_ghdl_accepts, needs_tclsh, ports, run_in_stub, stub_converter

from eie.boards.board import ARRAY_CELL, ARRAY_VLNV, DMA_CELL, DMA_VLNV, MODULE_VLNV, REGISTER_BYTES, board, board_names
from eie.boards.memory_port import memory_port, reachable_clocks, with_stream
from eie.contract.registers import ADDRESS_BITS, COUNTERS_BASE, COUNTERS_STRIDE
from eie.errors import ConfigError, EieError
from eie_hw.overlay.block_design import block_design
from eie_hw.overlay.build import Plan, prepare
from eie_hw.overlay.interfaces import declare_interfaces
from eie_hw.overlay.script import BuildOptions

pytestmark = needs_tclsh


@pytest.fixture(params=board_names())
def built(request, tmp_path):
    described = board(request.param)
    prepare(Plan(described, tmp_path), stub_converter)
    run, recorded = run_in_stub(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    return described, tmp_path, recorded


def test_every_cell_and_pin_that_is_connected_exists_and_none_is_left_open(built):
    _, _, recorded = built
    # The stub refuses unknown cells, pins, parameters and commands, and validates the whole.
    assert ["validate_bd_design"] in recorded
    assert sum(call[0] == "connect_bd_intf_net" for call in recorded) >= 8


def test_the_cells_the_host_looks_for_have_the_names_and_vlnvs_that_the_driver_expects(built):
    _, _, recorded = built
    cells = {call[1]: call[2] for call in recorded if call[0] == "create_bd_cell"}
    assert cells[ARRAY_CELL] == ARRAY_VLNV
    assert cells[DMA_CELL] == DMA_VLNV


def test_the_address_map_is_the_boards(built):
    described, _, recorded = built
    found = {
        (call[1], call[2]): (int(call[3], 0), int(call[4], 0)) for call in recorded if call[0] == "assign_bd_address"
    }
    control = {segment: where for (space, segment), where in found.items() if space.endswith("/Data")}
    assert control == {
        f"{DMA_CELL}/S_AXI_LITE/Reg": (described.dma_address, REGISTER_BYTES),
        f"{ARRAY_CELL}/s_axi/reg0": (described.array_address, REGISTER_BYTES),
    }
    memory = [where for (space, _), where in found.items() if space.startswith(DMA_CELL)]
    assert memory == [(described.memory_base, described.memory_bytes)] * 2


def test_the_register_range_holds_every_register_of_the_largest_array():
    assert REGISTER_BYTES == 1 << ADDRESS_BITS >= COUNTERS_BASE + 256 * COUNTERS_STRIDE


def test_the_dma_is_simple_mode_with_the_boards_widths_and_no_realignment(built):
    described, _, recorded = built
    dma = {call[2]: call[3] for call in recorded if call[:2] == ["parameter", DMA_CELL]}
    assert dma["c_include_sg"] == dma["c_include_mm2s_dre"] == dma["c_include_s2mm_dre"] == "0"
    assert dma["c_sg_length_width"] == str(described.dma_length_bits)
    assert dma["c_m_axi_mm2s_data_width"] == dma["c_m_axis_mm2s_tdata_width"] == str(described.config.stream_bits)
    assert dma["c_m_axi_s2mm_data_width"] == "64"


def test_part_and_clock_are_the_boards(built):
    described, _, recorded = built
    assert ["create_project", described.part] in recorded
    frequencies = [
        call[3] for call in recorded if call[0] == "parameter" and re.search("FPGA0.*FREQMHZ|PL0.*FREQMHZ", call[2])
    ]
    assert frequencies == [f"{described.clock_mhz:g}"]


@pytest.mark.parametrize("name", [name for name in board_names() if not name.startswith("pynq-z") or name == "pynq-zu"])
def test_an_ultrascale_board_takes_its_clock_from_the_only_pll_that_pynq_reckons_with(name):
    cells = {cell.name: dict(cell.parameters) for cell in block_design(board(name)).cells}
    assert cells["zynq_ultra_ps_e_0"]["PSU__CRL_APB__PL0_REF_CTRL__SRCSEL"] == "IOPLL"


@pytest.mark.parametrize("name", board_names())
def test_the_clock_of_a_board_is_its_plls_by_a_whole_number(name):
    ratio = board(name).pll_mhz / board(name).clock_mhz
    assert ratio == pytest.approx(round(ratio), rel=1e-5)
    assert min(reachable_clocks(board(name)), key=lambda clock: abs(clock - board(name).clock_mhz)) == (
        board(name).clock_mhz
    )


def test_another_pll_than_the_boards_is_warned_of_with_the_clock_that_it_would_make(tmp_path):
    prepare(Plan(board("kv260"), tmp_path), stub_converter)
    run, _ = run_in_stub(tmp_path, STUB_PLL="1500")
    assert run.returncode == 0, run.stderr
    assert "Vivado supposes a PLL of 1500.0 MHz, the board's has 1000" in run.stdout
    assert "at 83.33 MHz" in run.stdout
    # 142.857 MHz is a seventh of the board's, and nothing near it of the other.
    prepare(Plan(dataclasses.replace(board("kv260"), clock_mhz=142.857), tmp_path), stub_converter)
    run, _ = run_in_stub(tmp_path, STUB_PLL="1500")
    assert run.returncode == 1
    assert "has 136.363636 MHz, must be 142.857 MHz" in run.stderr


def test_the_name_of_the_design_states_the_build_hash(built):
    described, directory, recorded = built
    assert ["create_bd_design", described.design_name] in recorded
    assert described.design_name in (directory / f"{described.overlay_name}.hwh").read_text()


def test_all_ports_of_the_array_are_connected(built):
    _, _, recorded = built
    connected = {word for call in recorded if call[0].startswith("connect_bd") for word in call[1:]}
    inner = {word.split("/")[1] for word in connected if word.startswith(f"{ARRAY_CELL}/")}
    assert inner == {"aclk", "aresetn", "interrupt", "s_axis", "m_axis", "s_axi"}
    for port in ports():
        assert port in inner or port.rsplit("_", 1)[0] in inner, port


def test_the_listed_sources_are_those_that_ghdl_accepts_in_this_order_as_vhdl_93(built):
    _, directory, recorded = built
    sources = [call[1] for call in recorded if call[0] == "add_files"]
    assert sources == ["vhdl/control_unit.vhd", "vhdl/eie_top.vhd"]
    assert_ghdl_accepts(directory, sources)


def damage(directory, text, damaged):
    top = directory / "vhdl" / "eie_top.vhd"
    assert text in top.read_text()
    top.write_text(top.read_text().replace(text, damaged))


@pytest.mark.parametrize("packaged", [True, False])
@pytest.mark.parametrize(
    ("text", "damaged"), [("s_axis:m_axis:s_axi", "s_axis:m_axis"), ("x_interface_parameter of", "x of")]
)
def test_what_the_attributes_do_not_say_the_script_does(tmp_path, packaged, text, damaged):
    prepare(Plan(board("zcu104"), tmp_path, options=BuildOptions(packaged=packaged)), stub_converter)
    damage(tmp_path, text, damaged)
    run, _ = run_in_stub(tmp_path)
    assert run.returncode == 0, run.stderr


def test_attributes_in_the_entity_alone_are_not_read(tmp_path):
    """As users of Vivado report (rust_hdl issue 407, ghdl issue 525); UG994 shows them in the architecture."""
    prepare(Plan(board("zcu104"), tmp_path, options=BuildOptions(packaged=False)), stub_converter)
    top = tmp_path / "vhdl" / "eie_top.vhd"
    text = top.read_text()
    attributes = "".join(line for line in text.splitlines(True) if "attribute x_" in line)
    assert attributes.count("\n") == 8
    assert text.index("architecture empty of eie_top") < text.index("attribute x_")
    top.write_text(text.replace(attributes, "").replace("end entity eie_top;", attributes + "end entity eie_top;"))
    script = tmp_path / "build.tcl"
    script.write_text(script.read_text().replace("catch {set_property CONFIG.ASSOCIATED_BUSIF", "catch {list"))
    run, _ = run_in_stub(tmp_path)
    assert run.returncode == 1
    assert "eie_top_0/aclk clocks '', must be 's_axis m_axis s_axi'" in run.stderr


def test_an_interface_without_a_clock_stops_the_validation_where_the_clock_is_not_100_mhz(tmp_path):
    prepare(Plan(board("zcu104"), tmp_path, options=BuildOptions(packaged=False)), stub_converter)
    damage(tmp_path, "x_interface_parameter of", "x of")
    script = tmp_path / "build.tcl"
    script.write_text(script.read_text().replace("    eie::associate ", "    list "))
    run, _ = run_in_stub(tmp_path)
    assert run.returncode == 1
    assert "[BD 41-967]" in run.stdout
    assert "[BD 41-237] FREQ_HZ of" in run.stderr


def test_the_array_is_packaged_and_taken_from_the_catalogue(built):
    _, directory, recorded = built
    assert ["package_project", "eie_top"] in recorded
    assert ["update_ip_catalog", ARRAY_VLNV] in recorded
    associated = {call[2] for call in recorded if call[:2] == ["associate", "aclk"]}
    assert associated == {"s_axis", "m_axis", "s_axi", "aresetn"}
    assert (directory / "ip" / "component.xml").is_file()


def test_as_a_module_reference_the_array_has_the_other_name_that_the_driver_knows(tmp_path):
    prepare(Plan(board("pynq-z2"), tmp_path, options=BuildOptions(packaged=False)), stub_converter)
    run, recorded = run_in_stub(tmp_path)
    assert run.returncode == 0, run.stderr
    assert ["create_bd_cell", ARRAY_CELL, MODULE_VLNV] in recorded


def test_a_release_without_axi_interconnect_gets_smartconnect(tmp_path):
    prepare(Plan(board("pynq-z2"), tmp_path), stub_converter)
    run, recorded = run_in_stub(tmp_path, STUB_HIDDEN="xilinx.com:ip:axi_interconnect:2.1", STUB_VERSION="2025.2")
    assert run.returncode == 0, run.stderr
    assert sum("xilinx.com:ip:smartconnect:1.0" in call for call in recorded) == 2


def test_less_memory_than_the_board_has_is_taken_with_a_warning_and_stated(tmp_path):
    prepare(Plan(board("zcu104"), tmp_path), stub_converter)
    run, _ = run_in_stub(tmp_path, STUB_MEMORY=str(1 << 30))
    assert run.returncode == 0, run.stderr
    assert "reaches 1024 MiB" in run.stdout
    assert json.loads((tmp_path / "eie-zcu104.json").read_text())["memory_bytes"] == 1 << 30


def test_a_top_entity_that_is_not_found_is_refused(tmp_path):
    (tmp_path / "eie_top.vhd").write_text("entity other is\nend entity other;\n")
    with pytest.raises(EieError, match=r"eie_top\.vhd: has 0 architectures of eie_top"):
        declare_interfaces(tmp_path / "eie_top.vhd", "eie_top")


def test_a_release_without_xlconcat_gets_the_inline_block(tmp_path):
    prepare(Plan(board("zcu104"), tmp_path), stub_converter)
    run, recorded = run_in_stub(tmp_path, STUB_HIDDEN="xilinx.com:ip:xlconcat:2.1", STUB_VERSION="2025.2")
    assert run.returncode == 0, run.stderr
    assert any("xilinx.com:inline_hdl:ilconcat:1.0" in call for call in recorded)


@pytest.mark.parametrize(
    ("text", "damaged", "message"),
    [
        (
            "axi_dma_0/M_AXIS_MM2S eie_top_0/s_axis",
            "axi_dma_0/M_AXIS_MM2S eie_top_0/s_axsi",
            "eie_top_0/s_axsi finds 0",
        ),
        ("axi_dma_0/axi_resetn ", "", "axi_dma_0/axi_resetn is not driven"),
        ("eie::map processing_system7_0/Data eie_top_0/s_axi/reg0", "eie::hide a b 0 0;#", "reg0 is not mapped"),
        ("eie_top_0/s_axi/reg0 0x43C00000", "eie_top_0/s_axi/reg0 0x40400000", "overlaps another segment"),
        ("c_sg_length_width", "c_sg_lenght_width", "has no property CONFIG.c_sg_lenght_width"),
        ("c_mm2s_burst_size 16", "c_mm2s_burst_size 24", "24 is no value of CONFIG.c_mm2s_burst_size"),
        ("eie::net axi_dma_0/mm2s_introut [list interrupts_0/In0]", "", "interrupts_0/In0 is not driven"),
    ],
)
def test_a_damaged_design_is_refused_for_what_is_damaged(tmp_path, text, damaged, message):
    prepare(Plan(board("pynq-z2"), tmp_path), stub_converter)
    script = tmp_path / "build.tcl"
    assert text in script.read_text()
    script.write_text(script.read_text().replace(text, damaged))
    run, _ = run_in_stub(tmp_path)
    assert run.returncode == 1
    assert run.stderr.startswith("ERROR: eie-pynq-z2: ")
    assert message in run.stderr


def test_an_unknown_processing_system_is_refused_by_name():
    with pytest.raises(ConfigError, match="'versal'; it must be processing_system7 or zynq_ultra_ps_e"):
        block_design(dataclasses.replace(board("zcu104"), processing_system="versal"))


@pytest.mark.full
def test_ghdl_accepts_the_converted_sources_that_the_script_lists_and_the_design_is_built_from_them(tmp_path):
    files = prepare(Plan(board("pynq-z2"), tmp_path))
    run, recorded = run_in_stub(tmp_path)
    assert run.returncode == 0, run.stderr
    sources = [call[1] for call in recorded if call[0] == "add_files"]
    assert [tmp_path / source for source in sources] == files
    assert len(sources) > 20
    assert_ghdl_accepts(tmp_path, sources)


def built_with_stream(name, bits, directory, **changes):
    described = with_stream(dataclasses.replace(board(name), **changes), bits)
    prepare(Plan(described, directory), stub_converter)
    run, recorded = run_in_stub(directory)
    assert run.returncode == 0, run.stdout + run.stderr
    dma = {call[2]: call[3] for call in recorded if call[:2] == ["parameter", DMA_CELL]}
    assert dma["c_m_axi_mm2s_data_width"] == dma["c_m_axis_mm2s_tdata_width"] == str(bits)
    assert dma["c_m_axi_s2mm_data_width"] == "64"
    return described, recorded


@pytest.mark.parametrize("name", ["kv260", "zcu104"])
def test_a_stream_as_wide_as_the_port_to_the_memory_has_one_clock(name, tmp_path):
    _, recorded = built_with_stream(name, 128, tmp_path)
    assert len({call[1] for call in recorded if call[0] == "connect_bd_net" and "clk" in call[1].lower()}) == 1


# The second clock: the port's data a cycle times its clock are the stream's, as far as the port goes.
@pytest.mark.parametrize(
    ("name", "bits", "clock", "port_clock"),
    [
        ("pynq-z1", 128, 100, "200"),
        ("pynq-z2", 128, 100, "200"),
        ("pynq-z2", 128, 62.5, "125"),
        ("pynq-z2", 128, 142.857, "250"),
        ("kv260", 256, 125, "250"),
        ("zcu104", 256, 150, "300"),
    ],
)
def test_a_wider_stream_gets_a_faster_port_behind_a_smartconnect(name, bits, clock, port_clock, tmp_path):
    described, recorded = built_with_stream(name, bits, tmp_path, clock_mhz=clock)
    port = memory_port(described)
    settings = {call[2]: call[3] for call in recorded if call[0] == "parameter" and call[2].startswith(("PCW", "PSU"))}
    clocks = [settings[key] for key in settings if re.search(r"(FPGA|PL)[01]_.*FREQMHZ", key)]
    assert sorted(map(float, clocks)) == [clock, float(port_clock)]
    assert settings.get("PCW_S_AXI_HP0_DATA_WIDTH", settings.get("PSU__SAXIGP2__DATA_WIDTH")) == str(port.bits)
    memory = {call[2]: call[3] for call in recorded if call[:2] == ["parameter", "axi_memory"]}
    assert memory == {"NUM_SI": "2", "NUM_MI": "1", "NUM_CLKS": "2"}
    driven = {call[2]: call[1].split("/")[1] for call in recorded if call[0] == "connect_bd_net"}
    slow, fast = ("FCLK_CLK0", "FCLK_CLK1") if port.bits == 64 else ("pl_clk0", "pl_clk1")
    assert driven["axi_memory/aclk"] == fast
    assert {pin for pin, driver in driven.items() if driver == fast} == {
        "axi_memory/aclk",
        next(pin for pin in driven if re.fullmatch(r"\w+/(S_AXI_HP0_ACLK|saxihp0_fpd_aclk)", pin)),
    }
    assert {driven[pin] for pin in ("axi_memory/aclk1", "axi_dma_0/m_axi_mm2s_aclk", "eie_top_0/aclk")} == {slow}


@pytest.mark.parametrize(
    ("text", "damaged", "message"),
    [
        ("PCW_EN_CLK1_PORT 1", "PCW_EN_CLK1_PORT 0", "processing_system7_0/FCLK_CLK1 finds 0"),
        ("NUM_CLKS 2", "NUM_CLKS 1", "axi_memory/aclk1 finds 0"),
        ("axi_memory/aclk1", "axi_memory/aclken", "axi_memory/aclken finds 0"),
        (
            "processing_system7_0/FCLK_CLK1 [list processing_system7_0/S_AXI_HP0_ACLK]",
            "processing_system7_0/FCLK_CLK1 [list axi_memory/aclk]",
            "axi_memory/aclk is driven already",
        ),
        ("PCW_FPGA1_PERIPHERAL_FREQMHZ 200.0", "PCW_FPGA1_PERIPHERAL_FREQMHZ 180", "FCLK_CLK1 has 166.66"),
    ],
)
def test_a_damaged_second_clock_is_refused(tmp_path, text, damaged, message):
    prepare(Plan(with_stream(board("pynq-z2"), 128), tmp_path), stub_converter)
    script = tmp_path / "build.tcl"
    assert text in script.read_text()
    script.write_text(script.read_text().replace(text, damaged))
    run, _ = run_in_stub(tmp_path)
    assert run.returncode == 1
    assert message in run.stderr


@pytest.mark.parametrize("name", ["pynq-z1", "pynq-z2"])
def test_a_stream_that_the_memory_cannot_fill_is_refused(name):
    message = (
        f"{name}: a stream of 256 bits at 100 MHz takes 3,200 MB/s, but the memory brings no more than 1,575, as to "
        "one of 128 bits: use --stream-bits 128"
    )
    with pytest.raises(ConfigError, match=message):
        block_design(with_stream(board(name), 256))


def test_a_slower_overlay_slows_both_clocks_by_what_the_faster_one_needs(tmp_path):
    described = with_stream(board("pynq-z2"), 128)
    prepare(Plan(described, tmp_path, options=BuildOptions(slower=True)), stub_converter)
    run, recorded = run_in_stub(tmp_path, STUB_WNS="-0.3")
    assert run.returncode == 0, run.stderr
    # 0.3 ns beside 5 ns are 6 %: 94.3 MHz and twice as much. The PLL gives 90.909, but not twice as much.
    assert "the reachable clock 94.3 MHz" in run.stdout
    told = json.loads((tmp_path / "eie-pynq-z2.json").read_text())
    assert told["clock_mhz"] == 83.333
    assert told["setup_slack_ns"] == pytest.approx(-0.3 + 6 - 5, abs=1e-3)
    settings = [call[3] for call in recorded if call[0] == "parameter" and "FREQMHZ" in call[2] and "FPGA" in call[2]]
    assert [float(mhz) for mhz in settings] == pytest.approx([100, 200, 83.333, 166.667], rel=1e-4)
