"""An overlay opened: its files checked, its array and DMA found, its parameters read."""

from __future__ import annotations

from dataclasses import fields
from functools import reduce
from pathlib import Path
from typing import Any

import pynq
from pynq.lib.dma import DMA

from eie.boards.board import ARRAY_VLNV, MODULE_VLNV
from eie.boards.overlay_files import hwh_design
from eie.contract import isa, registers
from eie.contract.config import ArrayConfig
from eie.errors import ConfigError, DeviceError

_CLOCK_TOLERANCE = 0.01


class EieArray(pynq.DefaultIP):
    """The registers of an array, as pynq finds it in an overlay."""

    bindto = [ARRAY_VLNV, MODULE_VLNV]  # noqa: RUF012 (pynq reads a list)


def open_overlay(bitfile: str) -> pynq.Overlay:
    """Return pynq's overlay, not yet downloaded."""
    try:
        return pynq.Overlay(bitfile, download=False)
    except Exception as error:
        # pynq lets whatever its parser meets in a damaged or missing .hwh through.
        path = Path(bitfile)
        if path.exists():
            hwh_design(path.with_suffix(".hwh"))
        raise DeviceError(f"pynq cannot open the overlay {bitfile}: {error!r}") from error


def run_clocks(wanted_mhz: dict[int, float]) -> float:
    """Let the fabric's clocks run at what the overlay is built for; return the frequency of the array's in MHz.

    pynq writes the divisors that the .hwh states. They are right for the PLL that Vivado supposed; the board's own may
    be another (docs/overlay.md, KV260), which pynq's Clocks reads from its registers.

    Raises
    ------
    DeviceError
        If a clock stays faster than that: the array may then compute anything.
    """
    for number, wanted in wanted_mhz.items():
        name = f"fclk{number}_mhz"
        if abs(getattr(pynq.Clocks, name) - wanted) > _CLOCK_TOLERANCE * wanted:
            setattr(pynq.Clocks, name, wanted)
        found = float(getattr(pynq.Clocks, name))
        if found > (1 + _CLOCK_TOLERANCE) * wanted:
            whose = "memory port's" if number else "array's"
            rebuild = "" if number else f", or build the overlay for this clock (--clock-mhz {found:g})"
            raise DeviceError(
                f"the {whose} clock runs at {found:g} MHz, the overlay is built for {wanted:g}: set it with "
                f"pynq.Clocks.{name}{rebuild}"
            )
    return float(pynq.Clocks.fclk0_mhz)


def find_array(overlay: pynq.Overlay, bitfile: Path) -> str:
    names = [name for name, ip in overlay.ip_dict.items() if ip["driver"] is EieArray]
    if len(names) != 1:
        held = ", ".join(f"{name} ({ip['type']})" for name, ip in overlay.ip_dict.items())
        raise DeviceError(
            f"{bitfile.with_suffix('.hwh').name} describes {len(names)} EIE arrays ({ARRAY_VLNV} or {MODULE_VLNV}), "
            f"not one; it holds {held}: use the overlay of eie-pynq"
        )
    return names[0]


def find_dma(overlay: pynq.Overlay, wanted: str | None) -> str:
    names = [name for name, ip in overlay.ip_dict.items() if ip["driver"] is DMA and wanted in (None, name)]
    if len(names) != 1:
        raise DeviceError(
            f"the overlay has {len(names)} DMAs{f' called {wanted!r}' if wanted else ''} ({', '.join(names)}); "
            "name the array's with dma="
        )
    parameters = overlay.ip_dict[names[0]]["parameters"]
    for parameter, value, text in (
        ("c_include_sg", 0, "direct register mode"),
        ("c_include_mm2s", 1, "a send channel"),
        ("c_include_s2mm", 1, "a receive channel"),
    ):
        if int(parameters.get(parameter, value)) != value:
            raise DeviceError(
                f"{names[0]} has {parameter}={parameters[parameter]}; the driver needs {text}, {parameter}={value}: "
                "build the overlay with scripts/build_overlay.py"
            )
    return names[0]


def check_width(overlay: pynq.Overlay, dma: str, config: ArrayConfig) -> None:
    """Refuse a DMA that does not bring what the array takes at once."""
    for parameter in ("c_m_axi_mm2s_data_width", "c_m_axis_mm2s_tdata_width"):
        width = int(overlay.ip_dict[dma]["parameters"].get(parameter, config.stream_bits))
        if width != config.stream_bits:
            raise DeviceError(
                f"{dma} has {parameter}={width}; the driver needs the array's width, {parameter}={config.stream_bits}: "
                "build the overlay with scripts/build_overlay.py"
            )


def driver_of(overlay: pynq.Overlay, name: str) -> Any:
    """Return the driver of an IP by its path in the block design."""
    return reduce(getattr, name.split("/"), overlay)


def read_config(array: EieArray, bitfile: Path, described: int | None) -> ArrayConfig:
    """Return the array's parameters from its registers; refuse one that is not what the .hwh or this driver say."""

    def read(name: str) -> int:
        return array.mmio.read(registers.offset(name))

    hwh = bitfile.with_suffix(".hwh").name
    if read("identity") != registers.MAGIC:
        raise DeviceError(
            f"at 0x{array.mmio.base_addr:08x}, where {hwh} has the array, the identity register reads "
            f"0x{read('identity'):08x}, not 0x{registers.MAGIC:08x}: {hwh} is not of the loaded {bitfile.name}"
        )
    if described is not None and described != read("hash"):
        raise DeviceError(
            f"{hwh} is stale: it describes build 0x{described:08x}, but the loaded array is build "
            f"0x{read('hash'):08x}; copy .bit and .hwh from one build"
        )
    expected = isa.VERSION << 8 | registers.VERSION
    if read("version") != expected:
        raise DeviceError(
            f"the array has version 0x{read('version'):04x} (instruction set, registers), this driver speaks "
            f"0x{expected:04x}: rebuild the overlay, or use the driver version that it was built with"
        )
    kinds = {"bool": bool, "int": int}
    try:
        built = [field for field in fields(ArrayConfig) if field.name in ArrayConfig().hardware_parameters()]
        return ArrayConfig(**{field.name: kinds[str(field.type)](read(field.name)) for field in built})
    except ConfigError as error:
        raise DeviceError(f"the array's parameter registers hold what no array can have: {error}") from error
