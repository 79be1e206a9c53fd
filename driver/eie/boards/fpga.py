"""The FPGAs of the boards and what each has: the limits that a build, and an estimate of one, are held to."""

from __future__ import annotations

from dataclasses import dataclass

from eie.errors import ConfigError


@dataclass(frozen=True)
class Device:
    """What a device has.

    Parameters
    ----------
    name : str
        Beginning of its part numbers.
    family : {"xc7", "xcup"}
        7-series or UltraScale+, by Yosys' names.
    luts : int
    slicem_luts : int
        Those of the LUTs that can be memory or shift registers: only the slices called SLICEM have them.
    flip_flops, ramb36, dsps, ultra_rams : int
    """

    name: str
    family: str
    luts: int
    slicem_luts: int
    flip_flops: int
    ramb36: int
    dsps: int
    ultra_rams: int

    @property
    def limits(self) -> dict[str, int]:
        """The limits by name, as a budget states them."""
        names = ("luts", "slicem_luts", "flip_flops", "ramb36", "dsps", "ultra_rams")
        return {name: getattr(self, name) for name in names}


# AMD DS190 (Zynq-7000), DS891 (Zynq UltraScale+), DS889 (RFSoC) and DS987 (Kria K26). Which LUTs can be memory is what
# Vivado's utilisation reports for these parts say under "LUT as Memory", "Available".
# In the order of the fields: LUTs, those of SLICEM, flip-flops, RAMB36, DSP slices, UltraRAMs.
DEVICES = (
    Device("xc7z020", "xc7", 53_200, 17_400, 106_400, 140, 220, 0),
    Device("xczu3eg", "xcup", 70_560, 28_800, 141_120, 216, 360, 0),
    Device("xczu5eg", "xcup", 117_120, 57_600, 234_240, 144, 1_248, 64),
    Device("xczu7ev", "xcup", 230_400, 101_760, 460_800, 312, 1_728, 96),
    Device("xczu48dr", "xcup", 425_280, 213_600, 850_560, 1_080, 4_272, 80),
    Device("xck26", "xcup", 117_120, 57_600, 234_240, 144, 1_248, 64),
)


def device_of(part: str) -> Device:
    """Return the device of a Xilinx part number; `ConfigError` lists those known."""
    for device in DEVICES:
        if part.startswith(device.name):
            return device
    raise ConfigError(f"no resource limits are known for {part!r}, only for {', '.join(d.name for d in DEVICES)}")
