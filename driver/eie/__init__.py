"""EIE on PYNQ: compress a network, run it in compressed form on an FPGA board, or bit for bit in emulation."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eie.compression.compress import compress
    from eie.contract.config import ArrayConfig
    from eie.cycle_model.layers import cycles
    from eie.cycle_model.throughput import estimate
    from eie.devices.emulation.device import EmulatedDevice
    from eie.devices.pynq_board.device import PynqDevice
    from eie.devices.rtl.device import RtlDevice
    from eie.errors import EieError
    from eie.exploration.explore import explore
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


# `import eie` imports nothing: what a name needs, such as numpy or a board's library, comes with its first use.
_HOMES = {
    "GRU": "eie.network.recurrent",
    "LSTM": "eie.network.recurrent",
    "Accelerator": "eie.runtime.accelerator",
    "ArrayConfig": "eie.contract.config",
    "Counters": "eie.runtime.counters",
    "Dense": "eie.network.model",
    "EieError": "eie.errors",
    "EmulatedDevice": "eie.devices.emulation.device",
    "Layer": "eie.network.model",
    "Model": "eie.network.model",
    "PynqDevice": "eie.devices.pynq_board.device",
    "RecurrentModel": "eie.network.recurrent_model",
    "RtlDevice": "eie.devices.rtl.device",
    "Scaling": "eie.network.scaling",
    "Term": "eie.network.term",
    "compress": "eie.compression.compress",
    "cycles": "eie.cycle_model.layers",
    "estimate": "eie.cycle_model.throughput",
    "explore": "eie.exploration.explore",
    "load": "eie.model_file.container",
    "pack": "eie.program.packing",
    "reference": "eie.network.reference",
    "save": "eie.model_file.container",
    "__version__": "eie.version",
}


def __getattr__(name: str) -> Any:
    """Import a name of `__all__`, or a module of the package, on first use."""
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
    elif not name.startswith("_") and find_spec(f"eie.{name}") is not None:
        value = import_module(f"eie.{name}")
    else:
        raise AttributeError(f"module 'eie' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return what can be asked for, for those who complete names."""
    return sorted({*(name for name in globals() if name.startswith("__")), *__all__})
