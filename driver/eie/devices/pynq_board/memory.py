"""Contiguous memory that an overlay's DMA reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pynq
from pynq.buffer import PynqBuffer

from eie.contract.config import WORD_BYTES
from eie.errors import DeviceError


def allocate_within(reached: Sequence[range], nbytes: int, device: Any) -> PynqBuffer:
    """Return a buffer of at least a word.

    Parameters
    ----------
    reached : sequence of range
        Addresses that the DMA reaches; empty if they are not known.
    nbytes : int
    device : pynq.Device

    Raises
    ------
    DeviceError
        If there is no such memory left, or where it was allocated the DMA does not reach.
    """
    try:
        buffer = pynq.allocate((max(nbytes, WORD_BYTES),), np.uint8, target=device)
    except (RuntimeError, MemoryError, OSError) as error:
        raise DeviceError(
            f"no contiguous memory for a buffer of {nbytes} bytes ({error}): free other buffers, for example those "
            "of other notebooks, or start the board with a larger cma= in its boot arguments"
        ) from error
    first, last = buffer.device_address, buffer.device_address + buffer.nbytes - 1
    if reached and not any(first in memory and last in memory for memory in reached):
        buffer.freebuffer()
        places = " and ".join(f"0x{memory.start:08x} to 0x{memory.stop - 1:08x}" for memory in reached)
        raise DeviceError(
            f"a buffer of {nbytes} bytes was allocated at 0x{first:08x}, but the overlay's DMA reaches {places} "
            "only: give contiguous memory that place, for example with cma=512M@0-2G in the boot arguments"
        )
    return buffer
