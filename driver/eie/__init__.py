"""EIE on PYNQ: compress a network, run it in compressed form on an FPGA board, or bit for bit in emulation."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eie.compression.compress import compress
from eie.contract.config import ArrayConfig
from eie.devices.emulation.device import EmulatedDevice
from eie.errors import EieError
from eie.model_file.container import load, save
from eie.network.model import Dense, Layer, Model
from eie.network.recurrent import GRU, LSTM
from eie.network.recurrent_model import RecurrentModel
from eie.network.reference import reference
from eie.network.scaling import Scaling
from eie.network.term import Term
from eie.program.packing import pack
from eie.runtime.accelerator import Accelerator
from eie.runtime.counters import Counters
from eie.version import __version__ as __version__

if TYPE_CHECKING:
    from eie.cycle_model.layers import cycles
    from eie.cycle_model.throughput import estimate
    from eie.devices.pynq_board.device import PynqDevice
    from eie.devices.rtl.device import RtlDevice
    from eie.exploration.explore import explore

__all__ = [
    "GRU",
    "LSTM",
    "Accelerator",
    "ArrayConfig",
    "Counters",
    "Dense",
    "EieError",
    "EmulatedDevice",
    "Layer",
    "Model",
    "PynqDevice",
    "RecurrentModel",
    "RtlDevice",
    "Scaling",
    "Term",
    "compress",
    "cycles",
    "estimate",
    "explore",
    "load",
    "pack",
    "reference",
    "save",
]


# What needs more than numpy, or is slow to import where numba is installed, is imported where it is used.
_LATE = {
    "PynqDevice": "eie.devices.pynq_board.device",
    "RtlDevice": "eie.devices.rtl.device",
    "cycles": "eie.cycle_model.layers",
    "estimate": "eie.cycle_model.throughput",
    "explore": "eie.exploration.explore",
}


def __getattr__(name: str) -> Any:
    """Import the devices that need more than numpy, and the cycle model, on first use."""
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module 'eie' has no attribute {name!r}")
