"""The processing systems of Zynq-7000 and Zynq UltraScale+: names of the ports, pins and settings that are used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eie.boards.board import Board
from eie.boards.memory_port import memory_port, port_clock_mhz, port_has_own_clock, reachable_clocks
from eie.errors import ConfigError


@dataclass(frozen=True)
class ProcessingSystem:
    """Ports of a processing system.

    Parameters
    ----------
    cell, vlnv : str
        Name in the block design; what it is.
    clock, port_clock, reset, interrupt : str
        Pins: clock to the fabric; another for the port to the memory, where it has one of its own; the fabric's reset;
        interrupt from the fabric.
    control : (interface, clock pin)
        AXI master towards the registers.
    memory_clock : str
        Clock pin of the AXI slave towards the memory (`eie.boards.memory_port`).
    memory_segment : str
        Address segment of the memory behind the slave.
    other_segments : tuple of (segment, base, size)
        What else lies behind the slave; kept out of the DMA's reach.
    clock_property, port_clock_property : str
        Its parameters that are those clocks in MHz.
    pll_properties : tuple of three str
        Its parameters that tell the clock it makes, and the two divisors from the PLL to it.
    external : tuple of (interface, VLNV)
        Interfaces that leave the chip.
    interconnect : str
        IP that connects AXI ports. On Zynq-7000 it is the one that takes fewer LUTs.
    burst_words : int
        Longest DMA burst; AXI3 slaves take 16.
    settings : callable Board -> dict
        Its own parameters.
    """

    cell: str
    vlnv: str
    clock: str
    port_clock: str
    reset: str
    interrupt: str
    control: tuple[str, str]
    memory_clock: str
    memory_segment: str
    other_segments: tuple[tuple[str, int, int], ...]
    clock_property: str
    port_clock_property: str
    pll_properties: tuple[str, ...]
    external: tuple[tuple[str, str], ...]
    interconnect: str
    burst_words: int
    settings: Callable[[Board], dict[str, object]]


def processing_system(board: Board) -> ProcessingSystem:
    """Return a board's processing system.

    Raises
    ------
    ConfigError
        If it has one that is not known, or a clock that its PLL cannot be divided to.
    """
    memory_port(board)  # which refuses one that is not known
    clocks = reachable_clocks(board)
    if all(abs(clock - board.clock_mhz) > _CLOCK_TOLERANCE * board.clock_mhz for clock in clocks):
        above = min((clock for clock in clocks if clock > board.clock_mhz), default=clocks[0])
        below = max((clock for clock in clocks if clock < board.clock_mhz), default=clocks[-1])
        raise ConfigError(
            f"{board.name}: the clock cannot be {board.clock_mhz:g} MHz, for its PLL has {board.pll_mhz:g} MHz; "
            f"the nearest are {below:g} and {above:g} MHz"
        )
    return _SYSTEMS[board.processing_system]


_CLOCK_TOLERANCE = 0.001


def _zynq_7000(board: Board) -> dict[str, object]:
    return {
        **dict(board.processing_system_settings),
        "PCW_FPGA0_PERIPHERAL_FREQMHZ": board.clock_mhz,
        "PCW_FPGA_FCLK0_ENABLE": 1,
        "PCW_EN_CLK0_PORT": 1,
        "PCW_EN_RST0_PORT": 1,
        **(_zynq_7000_port_clock(board) if port_has_own_clock(board) else {}),
        "PCW_USE_M_AXI_GP0": 1,
        "PCW_USE_S_AXI_HP0": 1,
        "PCW_S_AXI_HP0_DATA_WIDTH": memory_port(board).bits,
        "PCW_USE_FABRIC_INTERRUPT": 1,
        "PCW_IRQ_F2P_INTR": 1,
    }


def _zynq_7000_port_clock(board: Board) -> dict[str, object]:
    return {
        "PCW_FPGA1_PERIPHERAL_FREQMHZ": port_clock_mhz(board),
        "PCW_FPGA_FCLK1_ENABLE": 1,
        "PCW_EN_CLK1_PORT": 1,
    }


def _zynq_ultrascale(board: Board) -> dict[str, object]:
    # The AXI ports keep the 128 bits that they have out of reset, so that they work before any software sets widths.
    # IOPLL: pynq sets the clock's divisors but not its source, and takes the source to be this one
    # (github.com/Xilinx/PYNQ, pull request 1607). Its frequency is the board's, from the boot loader.
    return {
        **dict(board.processing_system_settings),
        "PSU__FPGA_PL0_ENABLE": 1,
        "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "IOPLL",
        "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": board.clock_mhz,
        **(_zynq_ultrascale_port_clock(board) if port_has_own_clock(board) else {}),
        "PSU__NUM_FABRIC_RESETS": 1,
        "PSU__USE__M_AXI_GP0": 1,
        "PSU__USE__M_AXI_GP1": 0,
        "PSU__USE__M_AXI_GP2": 0,
        "PSU__USE__S_AXI_GP2": 1,
        "PSU__MAXIGP0__DATA_WIDTH": 128,
        "PSU__SAXIGP2__DATA_WIDTH": memory_port(board).bits,
        "PSU__USE__IRQ0": 1,
    }


def _zynq_ultrascale_port_clock(board: Board) -> dict[str, object]:
    return {
        "PSU__FPGA_PL1_ENABLE": 1,
        "PSU__CRL_APB__PL1_REF_CTRL__SRCSEL": "IOPLL",
        "PSU__CRL_APB__PL1_REF_CTRL__FREQMHZ": port_clock_mhz(board),
    }


_SYSTEMS = {
    "processing_system7": ProcessingSystem(
        cell="processing_system7_0",
        vlnv="xilinx.com:ip:processing_system7",
        clock="FCLK_CLK0",
        port_clock="FCLK_CLK1",
        reset="FCLK_RESET0_N",
        interrupt="IRQ_F2P",
        control=("M_AXI_GP0", "M_AXI_GP0_ACLK"),
        memory_clock="S_AXI_HP0_ACLK",
        memory_segment="S_AXI_HP0/HP0_DDR_LOWOCM",
        other_segments=(),
        clock_property="PCW_FPGA0_PERIPHERAL_FREQMHZ",
        port_clock_property="PCW_FPGA1_PERIPHERAL_FREQMHZ",
        pll_properties=(
            "PCW_ACT_FPGA0_PERIPHERAL_FREQMHZ",
            "PCW_FCLK0_PERIPHERAL_DIVISOR0",
            "PCW_FCLK0_PERIPHERAL_DIVISOR1",
        ),
        external=(
            ("DDR", "xilinx.com:interface:ddrx_rtl:1.0"),
            ("FIXED_IO", "xilinx.com:display_processing_system7:fixedio_rtl:1.0"),
        ),
        interconnect="xilinx.com:ip:axi_interconnect",
        burst_words=16,
        settings=_zynq_7000,
    ),
    "zynq_ultra_ps_e": ProcessingSystem(
        cell="zynq_ultra_ps_e_0",
        vlnv="xilinx.com:ip:zynq_ultra_ps_e",
        clock="pl_clk0",
        port_clock="pl_clk1",
        reset="pl_resetn0",
        interrupt="pl_ps_irq0",
        control=("M_AXI_HPM0_FPD", "maxihpm0_fpd_aclk"),
        memory_clock="saxihp0_fpd_aclk",
        memory_segment="SAXIGP2/HP0_DDR_LOW",
        # AMD UG1085, system address map.
        other_segments=(
            ("SAXIGP2/HP0_DDR_HIGH", 0x8_0000_0000, 0x8_0000_0000),
            ("SAXIGP2/HP0_LPS_OCM", 0xFF00_0000, 0x100_0000),
            ("SAXIGP2/HP0_QSPI", 0xC000_0000, 0x2000_0000),
        ),
        clock_property="PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ",
        port_clock_property="PSU__CRL_APB__PL1_REF_CTRL__FREQMHZ",
        pll_properties=(
            "PSU__CRL_APB__PL0_REF_CTRL__ACT_FREQMHZ",
            "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR0",
            "PSU__CRL_APB__PL0_REF_CTRL__DIVISOR1",
        ),
        external=(),
        interconnect="xilinx.com:ip:smartconnect",
        burst_words=64,
        settings=_zynq_ultrascale,
    ),
}
