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
    luts, flip_flops, ramb36, dsps : int
        UltraRAM is not used.
    slicem_luts : int
        Those of the LUTs that can be memory or shift registers: only the slices called SLICEM have them.
    """

    name: str
    family: str
    luts: int
    slicem_luts: int
    flip_flops: int
    ramb36: int
    dsps: int

    @property
    def limits(self) -> dict[str, int]:
        """The limits by name, as a budget states them."""
        names = ("luts", "slicem_luts", "flip_flops", "ramb36", "dsps")
        return {name: getattr(self, name) for name in names}


# AMD DS190 (Zynq-7000), DS891 (Zynq UltraScale+), DS889 (RFSoC) and DS987 (Kria K26). Which LUTs can be memory is what
# Vivado's utilisation reports for these parts say under "LUT as Memory", "Available".
DEVICES = (
    Device("xc7z020", "xc7", luts=53_200, slicem_luts=17_400, flip_flops=106_400, ramb36=140, dsps=220),
    Device("xczu3eg", "xcup", luts=70_560, slicem_luts=28_800, flip_flops=141_120, ramb36=216, dsps=360),
    Device("xczu5eg", "xcup", luts=117_120, slicem_luts=57_600, flip_flops=234_240, ramb36=144, dsps=1_248),
    Device("xczu7ev", "xcup", luts=230_400, slicem_luts=101_760, flip_flops=460_800, ramb36=312, dsps=1_728),
    Device("xczu48dr", "xcup", luts=425_280, slicem_luts=213_600, flip_flops=850_560, ramb36=1_080, dsps=4_272),
    Device("xck26", "xcup", luts=117_120, slicem_luts=57_600, flip_flops=234_240, ramb36=144, dsps=1_248),
)


def device_of(part: str) -> Device:
    """Return the device of a Xilinx part number; `ConfigError` lists those known."""
    for device in DEVICES:
        if part.startswith(device.name):
            return device
    raise ConfigError(f"no resource limits are known for {part!r}, only for {', '.join(d.name for d in DEVICES)}")
