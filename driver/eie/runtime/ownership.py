"""Whose array it is: the register "owner" tells one that has loaded it from another."""

from __future__ import annotations

import secrets

from eie.contract import registers
from eie.devices.interface import Device


class Ownership:
    """What the array keeps of who has loaded it, and how often; a soft reset from anywhere clears it.

    Parameters
    ----------
    device : Device

    Attributes
    ----------
    mark : int
        What the register holds as long as nobody else has been there; 0 before the first `take`.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.mark = 0

    def take(self) -> None:
        """Make the array this owner's, after a reset."""
        self._write(registers.OWNER_MARK | secrets.randbelow(registers.OWNER_MARK))

    def step(self) -> None:
        """Note a load: another that has the same idea of the array, a forked process, must see it."""
        generations = registers.OWNER_GENERATIONS
        self._write(self.mark & ~generations | self.mark + 1 & generations)

    def holds(self) -> bool:
        """Tell whether nobody else has reset, configured or loaded the array since the last load from here."""
        return self.device.read_register(registers.offset("owner")) == self.mark

    def _write(self, mark: int) -> None:
        self.mark = mark
        self.device.write_register(registers.offset("owner"), mark)
