"""EIE on PYNQ: compress a network, run it in compressed form on an FPGA board, or bit for bit in emulation."""

from typing import TYPE_CHECKING, Any

from eie.accelerator import Accelerator, Counters
from eie.compression import compress
from eie.config import ArrayConfig
from eie.emulation import EmulatedDevice
from eie.errors import EieError
from eie.file import load
from eie.model import Dense, Layer, Model
from eie.packing import pack
from eie.reference import reference

if TYPE_CHECKING:
    from eie_hw.rtl_device import RtlDevice

    from eie.pynq_device import PynqDevice

__version__ = "0.1.0"

__all__ = [
    "Accelerator",
    "ArrayConfig",
    "Counters",
    "Dense",
    "EieError",
    "EmulatedDevice",
    "Layer",
    "Model",
    "PynqDevice",
    "RtlDevice",
    "compress",
    "load",
    "pack",
    "reference",
]


def __getattr__(name: str) -> Any:
    """Import the RTL device only where it is used: it needs the hardware description and a simulator."""
    if name == "RtlDevice":
        from eie_hw.rtl_device import RtlDevice

        return RtlDevice
    if name == "PynqDevice":
        from eie.pynq_device import PynqDevice

        return PynqDevice
    raise AttributeError(f"module 'eie' has no attribute {name!r}")
