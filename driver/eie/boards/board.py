"""The boards: one description each (overlays/NAME/board.json), from which build, driver and virtual board derive."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from eie.contract.config import ArrayConfig
from eie.contract.registers import build_hash
from eie.errors import ConfigError

ARRAY_CELL, DMA_CELL = "eie_top_0", "axi_dma_0"
"""Names of the two cells that the host talks to, in the block design and so in the .hwh."""

ARRAY_VLNV, DMA_VLNV = "eie:eie:eie_top:1.0", "xilinx.com:ip:axi_dma:7.1"
"""What the .hwh says the cells are."""
MODULE_VLNV = "xilinx.com:module_ref:eie_top:1.0"
"""What it says the array is where it is not an IP but a module reference: Vivado's name for its entity."""

REGISTER_BYTES = 0x10000
"""Address range of either cell."""

_DESIGN_PREFIX = "eie_"


@dataclass(frozen=True)
class Board:
    """A board and the overlay built for it.

    Parameters
    ----------
    name, title : str
        The folder's name, the board's own name.
    part : str
        Xilinx part number.
    processing_system : {"processing_system7", "zynq_ultra_ps_e"}
    clock_mhz : float
        Clock of the array, from the processing system.
    pll_mhz : float
        The PLL that this clock is divided from, as the board's boot loader sets it.
    dma_length_bits : int
        AXI DMA: width of the transfer length.
    dma_address, array_address : int
        AXI4-Lite addresses as the processor sees them.
    memory_base, memory_bytes : int
        DDR that the DMA reaches.
    memory_mb_per_second : float
        Peak of the DDR: the width of its bus times its transfers a second.
    pynq_versions : tuple of str
        Board images that the overlay is meant for.
    vivado_version : str
        Version that the build script is written for.
    config : ArrayConfig
    processing_system_settings : tuple of (name, value)
        What the processing system must be told about the board besides its ports and clock.
    sources : tuple of str
        Where the facts are from.
    """

    name: str
    title: str
    part: str
    processing_system: str
    clock_mhz: float
    pll_mhz: float
    dma_length_bits: int
    dma_address: int
    array_address: int
    memory_base: int
    memory_bytes: int
    memory_mb_per_second: float
    pynq_versions: tuple[str, ...]
    vivado_version: str
    config: ArrayConfig
    processing_system_settings: tuple[tuple[str, str], ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def overlay_name(self) -> str:
        """Name of the overlay's files, before .bit, .hwh and .json."""
        return f"eie-{self.name}"

    @property
    def design_name(self) -> str:
        """Name of the block design; .bit and .hwh both carry it, so either tells the build hash it is of."""
        return f"{_DESIGN_PREFIX}{build_hash(self.config):08x}"


def board(name: str) -> Board:
    """Return a board by name; `ConfigError` lists the names there are."""
    if name not in board_names():
        raise ConfigError(f"there is no board {name!r}; the boards are {', '.join(board_names())}")
    values = json.loads((shipped_overlays() / name / "board.json").read_text(encoding="utf-8"))
    for key in ("dma_address", "array_address", "memory_base"):
        values[key] = int(values[key], 0)
    for key in ("pynq_versions", "sources"):
        values[key] = tuple(values[key])
    values["processing_system_settings"] = tuple(values.get("processing_system_settings", {}).items())
    return Board(name=name, config=ArrayConfig(**values.pop("array")), **values)


def board_names() -> tuple[str, ...]:
    """Return the names of the boards."""
    return tuple(sorted(path.parent.name for path in shipped_overlays().glob("*/board.json")))


def design_build_hash(design_name: str) -> int | None:
    """Return the build hash that a block design's name states, as read from a .hwh or .bit; None if it states none."""
    digits = design_name.removeprefix(_DESIGN_PREFIX)
    if design_name == digits or len(digits) != 8 or set(digits) - set("0123456789abcdef"):
        return None
    return int(digits, 16)


def shipped_overlays() -> Path:
    """Return the folder with a folder for each board: its description and, where one was built, its overlay."""
    import eie_overlays

    return Path(eie_overlays.__file__).parent
