"""The units to prove, with data a few bits wide, converted to both HDLs in a process of its own: units.py DIRECTORY."""

import shutil
import sys
from pathlib import Path

from eie_hw.array.leading_nonzero import leading_nonzero_node
from eie_hw.conversion.hierarchy import convert_hierarchy
from eie_hw.element.activation_queue import activation_queue
from eie_hw.parts.interfaces import Stream, bit, vector
from eie_hw.parts.memories import template_file
from eie_hw.shell.stream_register import stream_register

SLOTS, HIGH_WATER = 8, 4


def narrow_stream() -> Stream:
    stream = Stream()
    stream.data, stream.keep = vector(2), vector(1)
    return stream


def new_unit(name: str):
    if name == "stream_register":
        return stream_register(bit(), bit(), narrow_stream(), narrow_stream())
    if name == "activation_queue":
        return activation_queue(bit(), bit(), bit(), vector(2), bit(), bit(), vector(2), bit(), SLOTS, HIGH_WATER)
    return leading_nonzero_node(bit(), bit(), bit(), vector(8), vector(2), bit(), bit(), vector(2), vector(4), bit())


if __name__ == "__main__":
    for suffix in (".v", ".vhd"):
        shutil.copy(template_file("lut_ram" + suffix), sys.argv[1])
    for name in ("stream_register", "activation_queue", "leading_nonzero_node"):
        for hdl in ("VHDL", "Verilog"):
            convert_hierarchy(new_unit(name), Path(sys.argv[1]), hdl, name)
