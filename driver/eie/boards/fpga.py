"""The FPGAs of the boards and what each has: the limits that a build, and an estimate of one, are held to."""

from __future__ import annotations

from dataclasses import dataclass

from eie.errors import ConfigError


@dataclass(frozen=True)
class Device:
    """What a device has; `ramb36` counts RAMB36 (UltraRAM is not used)."""

    name: str
    luts: int
    flip_flops: int
    ramb36: int
    dsps: int

    @property
    def limits(self) -> dict[str, int]:
        """The limits by name, as a budget states them."""
        return {"luts": self.luts, "flip_flops": self.flip_flops, "ramb36": self.ramb36, "dsps": self.dsps}


# AMD DS190 (Zynq-7000), DS891 (Zynq UltraScale+ EV) and DS987 (Kria K26).
DEVICES = (
    Device("xc7z020", luts=53_200, flip_flops=106_400, ramb36=140, dsps=220),
    Device("xczu7ev", luts=230_400, flip_flops=460_800, ramb36=312, dsps=1_728),
    Device("xck26", luts=117_120, flip_flops=234_240, ramb36=144, dsps=1_248),
)


def device_of(part: str) -> Device:
    """Return the device of a Xilinx part number; `ConfigError` lists those known."""
    for device in DEVICES:
        if part.startswith(device.name):
            return device
    raise ConfigError(f"no resource limits are known for {part!r}, only for {', '.join(d.name for d in DEVICES)}")
