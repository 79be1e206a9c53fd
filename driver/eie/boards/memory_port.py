"""The port through which the DMA reaches a board's memory: its width, its clock, and what it brings.

A stream wider than the port is fed by a faster one: the port then has a clock of its own, and the interconnect between
port and DMA converts width and clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from eie.boards.board import Board
from eie.contract.config import WORD_BITS
from eie.errors import ConfigError

MEMORY_EFFICIENCY = 0.75
"""Part of its peak that a DDR memory brings. The controller of Zynq-7000 is designed for about so much (AMD UG585, "DDR
Efficiency"; four ports that read in sequence got .97), and so much was measured on Zynq UltraScale+ (Manev et al., FPT
2019, ZCU102)."""

_LOWEST_MHZ = 10
_ROUNDING = 1e-4


@dataclass(frozen=True)
class MemoryPort:
    """The AXI port of a processing system towards the memory.

    Parameters
    ----------
    name : str
        Its interface in a block design.
    bits : int
        Width of its data.
    highest_mhz : float
        The highest clock that it takes.
    """

    name: str
    bits: int
    highest_mhz: float


# 250 MHz: AMD DS187. 333.333 MHz: above it Vivado warns critically (github.com/esa-tu-darmstadt/tapasco, issue 205).
_PORTS = {
    "processing_system7": MemoryPort("S_AXI_HP0", 64, 250),
    "zynq_ultra_ps_e": MemoryPort("S_AXI_HP0_FPD", 128, 333.333),
}


@dataclass(frozen=True)
class Supply:
    """What the DMA can bring to an array's stream.

    Parameters
    ----------
    bytes_per_cycle : float
        In a cycle of the array's clock.
    limit : {"stream", "port", "memory"}
        What allows no more: the width of the stream, the port to the memory, or the memory.
    """

    bytes_per_cycle: float
    limit: str


def memory_port(board: Board) -> MemoryPort:
    """Return a board's port; `ConfigError` if its processing system is not known."""
    if board.processing_system not in _PORTS:
        known = " or ".join(_PORTS)
        raise ConfigError(f"{board.name}: processing_system is {board.processing_system!r}; it must be {known}")
    return _PORTS[board.processing_system]


def reachable_clocks(board: Board) -> list[float]:
    """Return the clocks in MHz that a board's PLL can be divided to by two 6-bit divisors, highest first."""
    products = sorted({a * b for a in range(1, 64) for b in range(1, 64)})
    return [round(board.pll_mhz / product, 3) for product in products if board.pll_mhz / product >= _LOWEST_MHZ]


def port_clock_mhz(board: Board) -> float:
    """Return the clock of the port: the array's, or for a wider stream the lowest with which the port keeps up; if
    none does, the highest that it takes."""
    port = memory_port(board)
    if board.config.stream_bits <= port.bits:
        return board.clock_mhz
    wanted = board.clock_mhz * board.config.stream_bits / port.bits
    clocks = [clock for clock in reachable_clocks(board) if clock <= port.highest_mhz]
    return min((clock for clock in clocks if clock >= (1 - _ROUNDING) * wanted), default=clocks[0])


def port_has_own_clock(board: Board) -> bool:
    """Return whether the port runs at another clock than the array."""
    return port_clock_mhz(board) != board.clock_mhz


def supply(board: Board) -> Supply:
    """Return what the DMA can bring to the stream of a board's array."""
    rates = {
        "stream": board.config.flit_bytes,
        "port": memory_port(board).bits / 8 * port_clock_mhz(board) / board.clock_mhz,
        "memory": MEMORY_EFFICIENCY * board.memory_mb_per_second / board.clock_mhz,
    }
    limit = "stream"
    for name, rate in rates.items():
        if rate < (1 - _ROUNDING) * rates[limit]:
            limit = name
    return Supply(rates[limit], limit)


def with_stream(board: Board, bits: int) -> Board:
    """Return a board whose array has a stream of another width."""
    return replace(board, config=replace(board.config, stream_bits=bits))


def check_stream(board: Board) -> None:
    """Refuse a stream to which no more can be brought than to one of half its width."""
    half = board.config.stream_bits // 2
    if half < WORD_BITS:
        return
    brought = supply(board)
    if supply(with_stream(board, half)).bytes_per_cycle < brought.bytes_per_cycle:
        return
    source = {"port": f"the port to the memory, {memory_port(board).name},", "memory": "the memory"}[brought.limit]
    raise ConfigError(
        f"{board.name}: a stream of {board.config.stream_bits} bits at {board.clock_mhz:g} MHz takes "
        f"{board.config.flit_bytes * board.clock_mhz:,.0f} MB/s, but {source} brings no more than "
        f"{brought.bytes_per_cycle * board.clock_mhz:,.0f}, as to one of {half} bits: use --stream-bits {half}"
    )
