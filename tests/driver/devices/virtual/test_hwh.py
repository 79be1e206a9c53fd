"""The .hwh of the virtual board states what the board file states, and what the block design of the build is."""

from xml.etree import ElementTree

import pytest

from eie.boards.board import ARRAY_CELL, ARRAY_VLNV, DMA_CELL, board, board_names
from eie.boards.memory_port import with_stream
from eie.boards.overlay_files import hwh_clocks
from eie.devices.virtual.hwh import hwh_text


@pytest.mark.parametrize("name", board_names())
def test_addresses_and_parameters_are_those_of_the_board(name):
    it = board(name)
    root = ElementTree.fromstring(hwh_text(it))
    assert root.find("SYSTEMINFO").get("NAME") == it.design_name
    modules = {module.get("INSTANCE"): module for module in root.iter("MODULE")}
    system = modules[f"{it.processing_system}_0"]
    ranges = {
        r.get("INSTANCE"): (int(r.get("BASEVALUE"), 16), int(r.get("HIGHVALUE"), 16)) for r in system.iter("MEMRANGE")
    }
    assert ranges == {
        DMA_CELL: (it.dma_address, it.dma_address + 0xFFFF),
        ARRAY_CELL: (it.array_address, it.array_address + 0xFFFF),
    }
    dma = {p.get("NAME"): int(p.get("VALUE")) for p in modules[DMA_CELL].iter("PARAMETER")}
    assert dma["c_sg_length_width"] == it.dma_length_bits
    assert dma["c_m_axi_mm2s_data_width"] == it.config.stream_bits
    assert dma["c_m_axi_s2mm_data_width"] == 64
    assert dma["c_include_sg"] == dma["c_micro_dma"] == 0
    assert modules[ARRAY_CELL].get("VLNV") == ARRAY_VLNV
    memory = next(modules[DMA_CELL].iter("MEMRANGE"))
    assert int(memory.get("BASEVALUE"), 16) == it.memory_base
    assert int(memory.get("HIGHVALUE"), 16) == it.memory_base + it.memory_bytes - 1


@pytest.mark.parametrize(("name", "port_clock"), [("pynq-z2", 200), ("kv260", None)])
def test_a_port_with_a_clock_of_its_own_has_the_second_one(name, port_clock, tmp_path):
    it = with_stream(board(name), 128)
    (tmp_path / "x.hwh").write_text(hwh_text(it))
    assert hwh_clocks(tmp_path / "x.hwh") == {0: it.clock_mhz, **({1: port_clock} if port_clock else {})}


@pytest.mark.parametrize("name", board_names())
def test_every_interface_that_a_memory_range_names_exists(name):
    root = ElementTree.fromstring(hwh_text(board(name)))
    interfaces = {m.get("INSTANCE"): {i.get("NAME") for i in m.iter("BUSINTERFACE")} for m in root.iter("MODULE")}
    for module in root.iter("MODULE"):
        for memory_range in module.iter("MEMRANGE"):
            assert memory_range.get("MASTERBUSINTERFACE") in interfaces[module.get("INSTANCE")]
            assert memory_range.get("SLAVEBUSINTERFACE") in interfaces[memory_range.get("INSTANCE")]


@pytest.mark.parametrize("name", board_names())
def test_address_map_and_dma_are_those_of_the_build(name):
    block_design = pytest.importorskip("eie_hw.overlay.block_design", reason="needs the hardware description")
    it = board(name)
    design = block_design.block_design(it)
    root = ElementTree.fromstring(hwh_text(it))
    assert root.find("SYSTEMINFO").get("NAME") == design.name
    mapped = {
        (r.get("INSTANCE"), int(r.get("BASEVALUE"), 16), int(r.get("HIGHVALUE"), 16) + 1 - int(r.get("BASEVALUE"), 16))
        for r in root.iter("MEMRANGE")
    }
    assert mapped == {(m.segment.split("/")[0], m.base, m.size) for m in design.mappings}
    cells = {cell.name: dict(cell.parameters) for cell in design.cells}
    described = {
        p.get("NAME"): p.get("VALUE")
        for m in root.iter("MODULE")
        if m.get("INSTANCE") == DMA_CELL
        for p in m.iter("PARAMETER")
    }
    shared = cells[DMA_CELL].keys() & described.keys()
    assert len(shared) >= 8
    assert {k: str(cells[DMA_CELL][k]) for k in shared} == {k: described[k] for k in shared}
