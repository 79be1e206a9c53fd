"""Energy and frames per second, as far as they follow from the paper's tables and from cycle counts.

All of it is about the paper's chip. Power of an FPGA board is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from eie.paper import published
from eie.paper.benchmarks import CLOCK_MHZ, PES

_TABLE_KB, _TABLE_BITS = 32, 32
"""The memory of Table I."""
SPARSE_MEMORY_KB = 128
"""The sparse-matrix memory of a PE (section VI)."""

FIXED_BITS = 64.0
"""Part of a read's energy that does not depend on the width, in bits of width that take as much: an assumption.

The paper took the energy of a read from a memory model and shows it as a curve without numbers; `fixed_bits_range`
says how far its finding depends on this number.
"""


def read_energy_pj(bits: int, fixed_bits: float = FIXED_BITS) -> float:
    """Return the energy of reading a word of `bits` bits from the sparse-matrix memory, in picojoules.

    A part that does not depend on the width and a part proportional to it, together Table I's 5 pJ at 32 bits and
    32 KB; energy grows with the square root of the capacity, as the length of a memory's wires does.
    """
    at_table = published.ENERGY_PJ["SRAM 32 KB, read 32 bits"] * math.sqrt(SPARSE_MEMORY_KB / _TABLE_KB)
    return at_table * (fixed_bits + bits) / (fixed_bits + _TABLE_BITS)


def fixed_bits_range(reads: Mapping[int, int], best: int) -> tuple[float, float]:
    """Return the least and the largest `fixed_bits` with which words of `best` bits take the least energy in total.

    Parameters
    ----------
    reads : mapping
        Words read, for each width in bits.
    best : int
    """
    low, high = 0.0, math.inf
    for bits, count in reads.items():
        if count == reads[best]:
            continue
        equal = (count * bits - reads[best] * best) / (reads[best] - count)
        low, high = (max(low, equal), high) if bits < best else (low, min(high, equal))
    return low, high


def power_of_tables_w() -> float:
    """Return the power of 64 PEs and their non-zero detection by Table II, in watts."""
    return (PES * published.PE_TOTAL_MW + published.LNZD_NODES * published.LNZD_MW) / 1000


def multiply_energy_pj(precision: str) -> float:
    """Return the energy of a multiplication, in picojoules.

    Table I has float32 and int32; the text of section VI gives 16 bits a fifth of int32. Other integers: by the
    square of the width, as a multiplier's area.
    """
    if precision == "float32":
        return published.ENERGY_PJ["float32 multiply"]
    int32 = published.ENERGY_PJ["int32 multiply"]
    bits = int(precision.removeprefix("int"))
    return int32 / 5 if bits == 16 else int32 * (bits / 32) ** 2


def frames(cycles: float, clock_mhz: float = CLOCK_MHZ, power_w: float = published.POWER_W) -> dict[str, Any]:
    """Return frames per second, frames per joule and microjoules per frame of a layer that takes these cycles."""
    per_second = clock_mhz * 1e6 / cycles
    return {
        "frames_per_second": per_second,
        "frames_per_joule": per_second / power_w,
        "microjoules": power_w / per_second * 1e6,
    }
