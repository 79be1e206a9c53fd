"""What a device has counted, read as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eie.contract import registers
from eie.contract.starvation import Starvation, starvation_text
from eie.devices.interface import Device, read_counter


@dataclass(frozen=True)
class Counters:
    """The device's counters since they were last cleared.

    Parameters
    ----------
    cycles, broadcasts, busy, stalled, start, drain, saturated : int
        See `eie.contract.registers`; those of cycles are 0 on the emulation, which has no clock.
    work, padding, starved, blocked : ndarray, shape (N,), int64
        Per PE.
    """

    cycles: int
    broadcasts: int
    busy: int
    stalled: int
    start: int
    drain: int
    saturated: int
    work: NDArray[np.int64]
    padding: NDArray[np.int64]
    starved: NDArray[np.int64]
    blocked: NDArray[np.int64]

    @property
    def starvation(self) -> Starvation:
        """Why the PEs starved."""
        entries = self.work + self.padding
        return Starvation.of(self.cycles, self.start, self.drain, entries)

    def lines(self) -> list[str]:
        """Return what was done, and, where there is a clock, in how many cycles and why PEs starved in them."""
        text = (
            f"{self.broadcasts:,} activations broadcast, {self.work.sum():,} weights worked off, "
            f"{self.padding.sum():,} padding entries"
        )
        if not self.cycles:
            return [text]
        return [f"{text}, {self.cycles:,} cycles", starvation_text(self.starvation.shares(self.cycles))]


def read_counters(device: Device) -> Counters:
    """Read all counters of a device."""
    per_pe = {
        name: np.array(
            [device.read_register(registers.counter_offset(pe, name)) for pe in range(device.config.num_pes)], np.int64
        )
        for name in registers.PE_COUNTERS
    }
    wide = {name: read_counter(device, name) for name in registers.WIDE_COUNTERS}
    return Counters(**wide, **per_pe)  # type: ignore[arg-type]
