"""One description: what Vivado builds for a board is what the .hwh of its virtual board says."""

from xml.etree import ElementTree

import pytest

from eie.boards.board import DMA_CELL, board, board_names
from eie_hw.overlay.block_design import block_design

hwh = pytest.importorskip("eie.devices.virtual.hwh")


@pytest.fixture(params=board_names())
def both(request):
    described = board(request.param)
    return block_design(described), ElementTree.fromstring(hwh.hwh_text(described))


def test_name_and_cells_of_the_design_are_those_of_the_virtual_hwh(both):
    design, root = both
    cells = {cell.name for cell in design.cells}
    assert root.find("SYSTEMINFO").get("NAME") == design.name
    assert {module.get("INSTANCE") for module in root.iter("MODULE")} <= cells


def test_the_address_map_is_that_of_the_virtual_hwh(both):
    design, root = both
    stated = set()
    for module in root.iter("MODULE"):
        for entry in module.iter("MEMRANGE"):
            base, high = int(entry.get("BASEVALUE"), 0), int(entry.get("HIGHVALUE"), 0)
            stated.add((module.get("INSTANCE"), entry.get("INSTANCE"), base, high - base + 1))
    built = {(m.space.split("/")[0], m.segment.split("/")[0], m.base, m.size) for m in design.mappings}
    assert stated == built


def test_the_dma_has_the_parameters_that_the_virtual_hwh_states(both):
    design, root = both
    built = dict(next(cell for cell in design.cells if cell.name == DMA_CELL).parameters)
    module = next(module for module in root.iter("MODULE") if module.get("INSTANCE") == DMA_CELL)
    stated = {entry.get("NAME"): entry.get("VALUE") for entry in module.iter("PARAMETER")}
    shared = built.keys() & stated.keys()
    assert {"c_include_sg", "c_sg_length_width", "c_m_axi_mm2s_data_width"} <= shared
    assert {name: str(built[name]) for name in shared} == {name: stated[name] for name in shared}


def test_both_connect_the_same_ports_of_processing_system_and_array(both):
    design, root = both
    connected = {pin for pair in design.interfaces for pin in pair}
    for module in root.iter("MODULE"):
        for interface in module.iter("BUSINTERFACE"):
            assert f"{module.get('INSTANCE')}/{interface.get('NAME')}" in connected
