"""The boards: one description each (overlays/NAME/board.json), from which build, driver and virtual board derive."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from eie.config import ArrayConfig
from eie.errors import ConfigError


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
    clock_mhz : int
        Clock of the array, from the processing system.
    dma_data_bits, dma_length_bits : int
        AXI DMA: width of the streams and of the transfer length.
    dma_address, array_address : int
        AXI4-Lite addresses as the processor sees them.
    memory_base, memory_bytes : int
        DDR that the DMA reaches.
    pynq_versions : tuple of str
        Board images that the overlay is meant for.
    vivado_version : str
        Version that the build script is written for.
    config : ArrayConfig
    """

    name: str
    title: str
    part: str
    processing_system: str
    clock_mhz: int
    dma_data_bits: int
    dma_length_bits: int
    dma_address: int
    array_address: int
    memory_base: int
    memory_bytes: int
    pynq_versions: tuple[str, ...]
    vivado_version: str
    config: ArrayConfig


def board(name: str) -> Board:
    """Return a board by name; `ConfigError` lists the names there are."""
    if name not in board_names():
        raise ConfigError(f"there is no board {name!r}; the boards are {', '.join(board_names())}")
    values = json.loads((_folder() / name / "board.json").read_text(encoding="utf-8"))
    for key in ("dma_address", "array_address", "memory_base"):
        values[key] = int(values[key], 0)
    values["pynq_versions"] = tuple(values["pynq_versions"])
    return Board(name=name, config=ArrayConfig(**values.pop("array")), **values)


def board_names() -> tuple[str, ...]:
    """Return the names of the boards."""
    return tuple(sorted(path.parent.name for path in _folder().glob("*/board.json")))


def _folder() -> Path:
    import eie_overlays

    return Path(eie_overlays.__file__).parent
