"""The block design of an overlay: processing system, DMA, array, and what connects them.

memory <- S_AXI -- interconnect <- DMA -> s_axis -> eie_top -> m_axis -> DMA
CPU -> M_AXI -- interconnect -> registers of DMA and eie_top; their interrupts -> CPU
with a logic analyser, if asked for, on both streams and on the array's registers

One clock drives all of it, but for the port to the memory where the array's stream is wider than that: the port is then
faster, and a SmartConnect between it and the DMA has both clocks.
"""

from __future__ import annotations

from dataclasses import dataclass

from eie.boards.board import ARRAY_CELL, ARRAY_VLNV, DMA_CELL, DMA_VLNV, REGISTER_BYTES, Board
from eie.boards.memory_port import check_stream, memory_port, port_clock_mhz, port_has_own_clock
from eie.contract.config import WORD_BITS
from eie_hw.overlay.analyser import ANALYSER_CELL, ANALYSER_VLNV, ANALYSER_WORDS, check_room
from eie_hw.overlay.interfaces import CLOCK, INTERFACES, RESET
from eie_hw.overlay.processing_system import ProcessingSystem, processing_system

CONTROL_CELL, MEMORY_CELL, RESET_CELL, INTERRUPT_CELL = "axi_control", "axi_memory", "reset_0", "interrupts_0"
TOP = ARRAY_VLNV.split(":")[2]
"""The array's entity."""

SMART_CONNECT_VLNV = "xilinx.com:ip:smartconnect"
"""The interconnect that converts widths and clocks, and resynchronises its reset, by itself (AMD PG247). Its switch has
the clock of `aclk`, which is the port's: at the array's, a switch as wide as the port would pass half as much."""

CONCATENATION, INTERCONNECT = "concatenation", "interconnect"
"""Kinds of the cells that join bits, and that connect AXI ports: their IP depends on the Vivado version."""


@dataclass(frozen=True)
class Cell:
    """A cell: name, kind ("ip", "module", `CONCATENATION` or `INTERCONNECT`), VLNV or entity, parameters."""

    name: str
    kind: str
    reference: str
    parameters: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Mapping:
    """An address segment (cell/interface/segment) in an address space (cell/space), both in bytes.

    `memory`: it is the memory, of which less will do.
    """

    space: str
    segment: str
    base: int
    size: int
    memory: bool = False


@dataclass(frozen=True)
class BlockDesign:
    """A block design.

    Parameters
    ----------
    name : str
    cells : tuple of Cell
    external : tuple of (pin, VLNV)
        Interface pins that become ports of the design.
    interfaces : tuple of (master pin, slave pin)
    nets : tuple of (driving pin, driven pins)
    clocked : tuple of (interconnect, its ports, the pin of its clock)
        Interconnects that take clock and reset, whatever pins their IP has for them.
    clock, reset : str
        The pins of the array's clock, and of the reset of array and interconnects.
    clocks : tuple of (pin, pin that it drives, MHz)
        Other clocks.
    associated : tuple of str
        Interfaces of the array that its clock must be known to belong to.
    watched : tuple of (interface pin, pin of the logic analyser)
    mappings : tuple of Mapping
    unreachable : tuple of Mapping
        Segments that stay out of an address space.
    """

    name: str
    cells: tuple[Cell, ...]
    external: tuple[tuple[str, str], ...]
    interfaces: tuple[tuple[str, str], ...]
    nets: tuple[tuple[str, tuple[str, ...]], ...]
    clocked: tuple[tuple[str, tuple[str, ...], str], ...]
    clock: str
    reset: str
    clocks: tuple[tuple[str, str, float], ...]
    associated: tuple[str, ...]
    watched: tuple[tuple[str, str], ...]
    mappings: tuple[Mapping, ...]
    unreachable: tuple[Mapping, ...]


def block_design(board: Board, packaged: bool = True, analyser: bool = False) -> BlockDesign:
    """Return the block design of a board's overlay.

    Parameters
    ----------
    board : Board
    packaged : bool
        The array is an IP of the catalogue; else a module reference.
    analyser : bool
        Put a logic analyser (System ILA) on both streams and on the registers' bus.

    Raises
    ------
    ConfigError
        If the board's PLL does not give its clock, its device has no room for the analyser, or the memory brings no
        more to the array's stream than to one of half its width.
    """
    system = processing_system(board)
    check_stream(board)
    if analyser:
        check_room(board)
    clock = f"{system.cell}/{system.clock}"
    port_clock = f"{system.cell}/{system.port_clock}" if port_has_own_clock(board) else clock
    dma_spaces = [f"{DMA_CELL}/Data_MM2S", f"{DMA_CELL}/Data_S2MM"]
    return BlockDesign(
        name=board.design_name,
        cells=_cells(board, system, packaged, analyser),
        external=tuple((f"{system.cell}/{name}", vlnv) for name, vlnv in system.external),
        interfaces=_interfaces(board, system),
        nets=_nets(system, clock, port_clock, analyser),
        clocked=((CONTROL_CELL, ("S00", "M00", "M01"), clock), (MEMORY_CELL, ("S00", "S01", "M00"), port_clock)),
        clock=clock,
        reset=f"{RESET_CELL}/peripheral_aresetn",
        clocks=() if port_clock == clock else ((port_clock, system.memory_clock, port_clock_mhz(board)),),
        associated=INTERFACES,
        watched=_watched() if analyser else (),
        mappings=(
            Mapping(f"{system.cell}/Data", f"{DMA_CELL}/S_AXI_LITE/Reg", board.dma_address, REGISTER_BYTES),
            Mapping(f"{system.cell}/Data", f"{ARRAY_CELL}/s_axi/reg0", board.array_address, REGISTER_BYTES),
            *(
                Mapping(
                    space, f"{system.cell}/{system.memory_segment}", board.memory_base, board.memory_bytes, memory=True
                )
                for space in dma_spaces
            ),
        ),
        unreachable=tuple(
            Mapping(space, f"{system.cell}/{name}", base, size)
            for space in dma_spaces
            for name, base, size in system.other_segments
        ),
    )


def _cells(board: Board, system: ProcessingSystem, packaged: bool, analyser: bool) -> tuple[Cell, ...]:
    dma = {
        "c_include_sg": 0,
        "c_sg_length_width": board.dma_length_bits,
        "c_include_mm2s": 1,
        "c_include_s2mm": 1,
        "c_include_mm2s_dre": 0,
        "c_include_s2mm_dre": 0,
        "c_m_axi_mm2s_data_width": board.config.stream_bits,
        "c_m_axis_mm2s_tdata_width": board.config.stream_bits,
        "c_m_axi_s2mm_data_width": WORD_BITS,
        "c_mm2s_burst_size": system.burst_words,
        "c_s2mm_burst_size": system.burst_words,
    }
    memory = Cell(MEMORY_CELL, INTERCONNECT, system.interconnect, (("NUM_SI", 2), ("NUM_MI", 1)))
    if port_has_own_clock(board):
        memory = Cell(MEMORY_CELL, "ip", SMART_CONNECT_VLNV, (*memory.parameters, ("NUM_CLKS", 2)))
    cells = (
        Cell(system.cell, "ip", system.vlnv, tuple(system.settings(board).items())),
        Cell(RESET_CELL, "ip", "xilinx.com:ip:proc_sys_reset"),
        Cell(DMA_CELL, "ip", DMA_VLNV, tuple(dma.items())),
        Cell(ARRAY_CELL, "ip", ARRAY_VLNV) if packaged else Cell(ARRAY_CELL, "module", TOP),
        Cell(CONTROL_CELL, INTERCONNECT, system.interconnect, (("NUM_SI", 1), ("NUM_MI", 2))),
        memory,
        Cell(INTERRUPT_CELL, CONCATENATION, "", (("NUM_PORTS", 3),)),
    )
    if not analyser:
        return cells
    slots = {
        "C_MON_TYPE": "INTERFACE",
        "C_DATA_DEPTH": ANALYSER_WORDS,
        "C_NUM_MONITOR_SLOTS": 3,
        "C_SLOT_0_INTF_TYPE": "xilinx.com:interface:axis_rtl:1.0",
        "C_SLOT_1_INTF_TYPE": "xilinx.com:interface:axis_rtl:1.0",
        "C_SLOT_2_INTF_TYPE": "xilinx.com:interface:aximm_rtl:1.0",
    }
    return (*cells, Cell(ANALYSER_CELL, "ip", ANALYSER_VLNV, tuple(slots.items())))


def _watched() -> tuple[tuple[str, str], ...]:
    probes = ("SLOT_0_AXIS", "SLOT_1_AXIS", "SLOT_2_AXI")
    return tuple(
        (f"{ARRAY_CELL}/{name}", f"{ANALYSER_CELL}/{probe}") for name, probe in zip(INTERFACES, probes, strict=True)
    )


def _interfaces(board: Board, system: ProcessingSystem) -> tuple[tuple[str, str], ...]:
    return (
        (f"{system.cell}/{system.control[0]}", f"{CONTROL_CELL}/S00_AXI"),
        (f"{CONTROL_CELL}/M00_AXI", f"{DMA_CELL}/S_AXI_LITE"),
        (f"{CONTROL_CELL}/M01_AXI", f"{ARRAY_CELL}/s_axi"),
        (f"{DMA_CELL}/M_AXI_MM2S", f"{MEMORY_CELL}/S00_AXI"),
        (f"{DMA_CELL}/M_AXI_S2MM", f"{MEMORY_CELL}/S01_AXI"),
        (f"{MEMORY_CELL}/M00_AXI", f"{system.cell}/{memory_port(board).name}"),
        (f"{DMA_CELL}/M_AXIS_MM2S", f"{ARRAY_CELL}/s_axis"),
        (f"{ARRAY_CELL}/m_axis", f"{DMA_CELL}/S_AXIS_S2MM"),
    )


def _nets(
    system: ProcessingSystem, clock: str, port_clock: str, analyser: bool
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    memory = f"{system.cell}/{system.memory_clock}"
    clocks = [
        f"{RESET_CELL}/slowest_sync_clk",
        f"{system.cell}/{system.control[1]}",
        memory if port_clock == clock else f"{MEMORY_CELL}/aclk1",
        *(f"{DMA_CELL}/{name}" for name in ("s_axi_lite_aclk", "m_axi_mm2s_aclk", "m_axi_s2mm_aclk")),
        f"{ARRAY_CELL}/{CLOCK}",
    ]
    resets = [f"{DMA_CELL}/axi_resetn", f"{ARRAY_CELL}/{RESET}"]
    if analyser:
        clocks.append(f"{ANALYSER_CELL}/clk")
        resets.append(f"{ANALYSER_CELL}/resetn")
    return (
        (clock, tuple(clocks)),
        *(() if port_clock == clock else ((port_clock, (memory,)),)),
        (f"{system.cell}/{system.reset}", (f"{RESET_CELL}/ext_reset_in",)),
        (f"{RESET_CELL}/peripheral_aresetn", tuple(resets)),
        (f"{DMA_CELL}/mm2s_introut", (f"{INTERRUPT_CELL}/In0",)),
        (f"{DMA_CELL}/s2mm_introut", (f"{INTERRUPT_CELL}/In1",)),
        (f"{ARRAY_CELL}/interrupt", (f"{INTERRUPT_CELL}/In2",)),
        (f"{INTERRUPT_CELL}/dout", (f"{system.cell}/{system.interrupt}",)),
    )
