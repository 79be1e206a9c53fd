"""EIE on PYNQ: compress a network, run it in compressed form on an FPGA board, or bit for bit in emulation."""

from eie.config import ArrayConfig
from eie.errors import EieError
from eie.model import Dense, Layer, Model
from eie.reference import reference

__version__ = "0.1.0"

__all__ = [
    "ArrayConfig",
    "Dense",
    "EieError",
    "Layer",
    "Model",
    "reference",
]
