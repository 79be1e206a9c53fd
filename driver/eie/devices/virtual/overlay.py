"""A virtual overlay: the files that pynq loads."""

from __future__ import annotations

import json
from pathlib import Path

from eie.boards.board import Board
from eie.boards.overlay_files import bit_bytes
from eie.contract.registers import build_hash
from eie.devices.virtual.hwh import hwh_text

_CONFIGURATION = bytes.fromhex("ffffffff aa995566 20000000 20000000")
"""What stands for the configuration in a virtual .bit: synchronisation word and no-operations."""


def write_overlay(board: Board, bitfile: Path, hwh: Board | None = None) -> None:
    """Write a virtual overlay: a .bit without configuration, with its .hwh and what it was built from beside it."""
    data = bit_bytes(board.design_name, board.part, board.vivado_version, _CONFIGURATION)
    bitfile.write_bytes(data)
    built_from = {
        "overlay": board.overlay_name,
        "board": board.title,
        "hash": f"0x{build_hash(board.config):08x}",
        "array": board.config.to_dict(),
    }
    bitfile.with_suffix(".json").write_text(json.dumps(built_from, indent=2), encoding="utf-8")
    bitfile.with_suffix(".hwh").write_text(hwh_text(hwh or board), encoding="utf-8")
