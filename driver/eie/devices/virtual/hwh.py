"""The .hwh file of a board's overlay, as Vivado writes it for the block design, reduced to what pynq reads."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from eie.boards.board import ARRAY_CELL, ARRAY_VLNV, DMA_CELL, DMA_VLNV, REGISTER_BYTES, Board
from eie.boards.memory_port import memory_port, port_clock_mhz, port_has_own_clock
from eie.contract.config import WORD_BITS

_CLOCKS = 4
_DIVISOR_LIMIT = 64
_AXI = "xilinx.com:interface:aximm:1.0"
_STREAM = "xilinx.com:interface:axis:1.0"

# Per processing system: type, general-purpose master, the clocks' source and the names of their parameters.
_SYSTEMS: dict[str, dict[str, Any]] = {
    "processing_system7": {
        "vlnv": "xilinx.com:ip:processing_system7:5.5",
        "arch": "zynq",
        "master": "M_AXI_GP0",
        "memory_block": "HP0_DDR_LOWOCM",
        "enable": "PCW_FPGA_FCLK{i}_ENABLE",
        "source": "PCW_FCLK{i}_PERIPHERAL_CLKSRC",
        "divisor": "PCW_FCLK{i}_PERIPHERAL_DIVISOR{j}",
        "frequency": "PCW_ACT_FPGA{i}_PERIPHERAL_FREQMHZ",
        "source_name": "IO PLL",
    },
    "zynq_ultra_ps_e": {
        "vlnv": "xilinx.com:ip:zynq_ultra_ps_e:3.4",
        "arch": "zynquplus",
        "master": "M_AXI_HPM0_FPD",
        "memory_block": "HP0_DDR_LOW",
        "enable": "PSU__FPGA_PL{i}_ENABLE",
        "source": "PSU__CRL_APB__PL{i}_REF_CTRL__SRCSEL",
        "divisor": "PSU__CRL_APB__PL{i}_REF_CTRL__DIVISOR{j}",
        "frequency": "PSU__CRL_APB__PL{i}_REF_CTRL__ACT_FREQMHZ",
        "source_name": "IOPLL",
    },
}


def hwh_text(board: Board, *, vlnv: str = ARRAY_VLNV) -> str:
    """Return the .hwh of a board's overlay.

    Parameters
    ----------
    board : Board
    vlnv : str
        Type of the array in the block design.
    """
    root = Element("EDKSYSTEM", EDWVERSION="1.2", VIVADOVERSION=board.vivado_version)
    system = _SYSTEMS[board.processing_system]
    device, package = _device_and_package(board.part)
    SubElement(root, "SYSTEMINFO", ARCH=system["arch"], DEVICE=device, NAME=board.design_name, PACKAGE=package)
    SubElement(root, "EXTERNALPORTS")
    SubElement(root, "EXTERNALINTERFACES")
    modules = SubElement(root, "MODULES")
    _processing_system(modules, board, system)
    _dma(modules, board, system)
    _array(modules, vlnv)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _processing_system(modules: Element, board: Board, system: dict[str, Any]) -> None:
    module = _module(modules, board.processing_system, f"{board.processing_system}_0", system["vlnv"], "PROCESSOR")
    clocks = [board.clock_mhz, *([port_clock_mhz(board)] if port_has_own_clock(board) else [])]
    parameters = {}
    for i in range(_CLOCKS):
        used = i < len(clocks)
        divisors = _divisors(board.pll_mhz / clocks[i]) if used else (1, 1)
        parameters[system["enable"].format(i=i)] = str(int(used))
        parameters[system["source"].format(i=i)] = system["source_name"]
        parameters[system["frequency"].format(i=i)] = f"{clocks[i] if used else 10:.6f}"
        for j in range(2):
            parameters[system["divisor"].format(i=i, j=j)] = str(divisors[j])
    _parameters(module, parameters)
    _interfaces(module, {system["master"]: ("MASTER", _AXI), memory_port(board).name: ("SLAVE", _AXI)})
    memory_map = SubElement(module, "MEMORYMAP")
    for cell, slave, address in (
        (DMA_CELL, "S_AXI_LITE", board.dma_address),
        (ARRAY_CELL, "s_axi", board.array_address),
    ):
        _range(memory_map, "Reg", "REGISTER", cell, system["master"], slave, address, REGISTER_BYTES)


def _dma(modules: Element, board: Board, system: dict[str, Any]) -> None:
    module = _module(modules, "axi_dma", DMA_CELL, DMA_VLNV, "PERIPHERAL")
    parameters = {
        "c_include_mm2s": "1",
        "c_include_s2mm": "1",
        "c_include_sg": "0",
        "c_micro_dma": "0",
        "c_include_mm2s_dre": "0",
        "c_include_s2mm_dre": "0",
        "c_sg_length_width": str(board.dma_length_bits),
        "c_m_axi_mm2s_data_width": str(board.config.stream_bits),
        "c_m_axis_mm2s_tdata_width": str(board.config.stream_bits),
        "c_m_axi_s2mm_data_width": str(WORD_BITS),
        "c_s_axis_s2mm_tdata_width": str(WORD_BITS),
    }
    _parameters(module, parameters)
    _interfaces(
        module,
        {
            "S_AXI_LITE": ("SLAVE", _AXI),
            "M_AXI_MM2S": ("MASTER", _AXI),
            "M_AXI_S2MM": ("MASTER", _AXI),
            "M_AXIS_MM2S": ("INITIATOR", _STREAM),
            "S_AXIS_S2MM": ("TARGET", _STREAM),
        },
    )
    memory_map = SubElement(module, "MEMORYMAP")
    for master in ("M_AXI_MM2S", "M_AXI_S2MM"):
        _range(
            memory_map,
            system["memory_block"],
            "MEMORY",
            f"{board.processing_system}_0",
            master,
            memory_port(board).name,
            board.memory_base,
            board.memory_bytes,
        )


def _array(modules: Element, vlnv: str) -> None:
    module = _module(modules, "eie_top", ARRAY_CELL, vlnv, "PERIPHERAL")
    _parameters(module, {})
    _interfaces(module, {"s_axi": ("SLAVE", _AXI), "s_axis": ("TARGET", _STREAM), "m_axis": ("INITIATOR", _STREAM)})


def _module(modules: Element, kind: str, instance: str, vlnv: str, module_class: str) -> Element:
    return SubElement(
        modules,
        "MODULE",
        FULLNAME=f"/{instance}",
        HWVERSION=vlnv.rpartition(":")[2],
        INSTANCE=instance,
        IPTYPE=module_class,
        IS_ENABLE="1",
        MODCLASS=module_class,
        MODTYPE=kind,
        VLNV=vlnv,
    )


def _parameters(module: Element, values: dict[str, str]) -> None:
    parameters = SubElement(module, "PARAMETERS")
    for name, value in values.items():
        SubElement(parameters, "PARAMETER", NAME=name, VALUE=value)


def _interfaces(module: Element, interfaces: dict[str, tuple[str, str]]) -> None:
    parent = SubElement(module, "BUSINTERFACES")
    for name, (kind, vlnv) in interfaces.items():
        SubElement(parent, "BUSINTERFACE", NAME=name, TYPE=kind, VLNV=vlnv)


def _range(
    parent: Element, block: str, kind: str, instance: str, master: str, slave: str, address: int, size: int
) -> None:
    SubElement(
        parent,
        "MEMRANGE",
        ADDRESSBLOCK=block,
        BASEVALUE=f"0x{address:08X}",
        HIGHVALUE=f"0x{address + size - 1:08X}",
        INSTANCE=instance,
        MASTERBUSINTERFACE=master,
        MEMTYPE=kind,
        SLAVEBUSINTERFACE=slave,
    )


def _divisors(ratio: float) -> tuple[int, int]:
    """Return two divisors whose product comes closest to a ratio."""
    pairs = ((i, j) for j in range(1, _DIVISOR_LIMIT) for i in range(j, _DIVISOR_LIMIT))
    return min(pairs, key=lambda pair: (abs(pair[0] * pair[1] - ratio), pair[1]))


def _device_and_package(part: str) -> tuple[str, str]:
    """Return what Vivado writes of a part: xc7z020clg400-1 is 7z020 in clg400, xczu7ev-ffvc1156-2-e is xczu7ev in
    ffvc1156."""
    head, _, rest = part.partition("-")
    series7 = re.fullmatch(r"xc(7z\d+)([a-z]+\d+)", head)
    return (series7[1], series7[2]) if series7 else (head, rest.partition("-")[0])
