"""EIE on PYNQ: compress a network, run it in compressed form on an FPGA board, or bit for bit in emulation."""

from importlib import import_module
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

    from eie.cycle_model import cycles
    from eie.exploration import explore
    from eie.pynq_device import PynqDevice
    from eie.throughput import estimate

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
    "cycles",
    "estimate",
    "explore",
    "load",
    "pack",
    "reference",
]


# What needs more than numpy, or is slow to import where numba is installed, is imported where it is used.
_LATE = {
    "PynqDevice": "eie.pynq_device",
    "RtlDevice": "eie_hw.rtl_device",
    "cycles": "eie.cycle_model",
    "estimate": "eie.throughput",
    "explore": "eie.exploration",
}


def __getattr__(name: str) -> Any:
    """Import the devices that need more than numpy, and the cycle model, on first use."""
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'eie' has no attribute {name!r}")
