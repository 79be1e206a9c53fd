"""The logic analyser of an overlay (`--ila`): what it looks at, and whether the device has room for it.

System ILA (AMD PG261) looks at both streams and the registers' bus. An ILA (AMD PG172) that Vivado inserts after
synthesis looks at signals inside the array: they are marked in the VHDL, where Vivado reads the attribute (AMD UG912,
MARK_DEBUG).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from eie.boards.board import Board
from eie.boards.fpga import device_of
from eie.boards.resources import BESIDES_RAMB36, estimate
from eie.contract.config import WORD_BITS, ArrayConfig
from eie.errors import ConfigError, EieError

ANALYSER_CELL, ANALYSER_VLNV = "analyser_0", "xilinx.com:ip:system_ila"
ANALYSER_WORDS = 1024
"""Samples that a logic analyser keeps."""
_BUS_BITS, _MARKED_BITS = 120, 78
"""What is sampled besides the streams: the registers' bus, and the registers of `MARKED`."""

MARKED_ENTITY = "control_unit"
MARKED = ("state", "header", "fault", "good", "is_load", "done")
"""Registers of `MARKED_ENTITY`: what the array is doing with which instruction, and why it refuses one."""


def check_room(board: Board) -> None:
    """Check that a board's device has block RAMs for its array and the analyser.

    Raises
    ------
    ConfigError
        If it has not; the message says how many PEs leave room.
    """
    device = device_of(board.part)
    needed = _block_rams(board)
    if needed <= device.ramb36:
        return
    fewer = board
    while _block_rams(fewer) > device.ramb36 and fewer.config.num_pes > 1:
        fewer = replace(fewer, config=replace(fewer.config, num_pes=fewer.config.num_pes // 2))
    raise ConfigError(
        f"{board.name}: {board.config.num_pes} PEs and a logic analyser take {needed:g} block RAMs, {device.name} has "
        f"{device.ramb36}; look at a smaller array: --pes {fewer.config.num_pes}"
    )


def _block_rams(board: Board) -> float:
    return estimate(board.config).ramb36 + BESIDES_RAMB36 + analyser_ramb36(board.config)


def analyser_ramb36(config: ArrayConfig) -> int:
    """Return the block RAMs of both analysers: a RAMB36 holds 36 bits of each sample."""
    streams = sum(bits + bits // 8 + 3 for bits in (config.stream_bits, WORD_BITS))
    return sum(-(-bits // 36) for bits in (streams, _BUS_BITS, _MARKED_BITS))


def mark_signals(files: Sequence[Path]) -> None:
    """Mark the signals that the analyser looks at in the VHDL.

    Raises
    ------
    EieError
        If there is no such entity, or it has no such signal.
    """
    found = [file for file in files if file.stem == MARKED_ENTITY]
    text = found[0].read_text(encoding="utf-8") if found else ""
    head, begin, body = text.partition("\nbegin\n")
    missing = [name for name in MARKED if not re.search(rf"^signal {name}:", head, re.MULTILINE)]
    if missing:
        raise EieError(f"{MARKED_ENTITY}.vhd: has no signal {missing[0]}; the converter has changed: tell the project")
    lines = ["attribute mark_debug: string;", *(f'attribute mark_debug of {n}: signal is "true";' for n in MARKED)]
    found[0].write_text("\n".join([head, *lines]) + begin + body, encoding="utf-8")
