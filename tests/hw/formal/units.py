"""The units to prove, with data a few bits wide, converted to both HDLs in a process of its own: units.py DIRECTORY."""

import shutil
import sys
from pathlib import Path

from eie import ArrayConfig
from eie_hw.array.leading_nonzero import leading_nonzero_node
from eie_hw.conversion.hierarchy import convert_hierarchy
from eie_hw.element.activation_queue import activation_queue
from eie_hw.parts.interfaces import (
    ActivationRead,
    ComputeCommand,
    ElementwiseCommand,
    FormatCommand,
    ReadCommand,
    StoreCommand,
    Stream,
    bit,
    counter,
    vector,
)
from eie_hw.parts.memories import template_file
from eie_hw.shell import execute_queue as execution
from eie_hw.shell import result_stream as results
from eie_hw.shell import retirement
from eie_hw.shell.stream_register import stream_register

SLOTS, HIGH_WATER = 8, 4
RESULT_PLACES, FIELD_BITS = 4, 4
EXECUTE_SLOTS = 4
UNITS = ("stream_register", "activation_queue", "leading_nonzero_node", "result_stream", "execute_queue")


def narrow_stream() -> Stream:
    stream = Stream()
    stream.data, stream.keep = vector(2), vector(1)
    return stream


def narrow_result_stream():
    results.RESULT_QUEUE, results._POINTER_BITS = RESULT_PLACES, (RESULT_PLACES - 1).bit_length()
    results.WORD_BITS, results.ADDRESS_BITS = 2, FIELD_BITS
    command, memory = ReadCommand(), ActivationRead()
    command.words, command.address, command.count = (vector(FIELD_BITS) for _ in range(3))
    memory.group, memory.word, memory.data = counter(FIELD_BITS), vector(FIELD_BITS), vector(2)
    return results.result_stream(bit(), bit(), command, memory, narrow_stream(), bit(), ArrayConfig(num_pes=8))


def small_execute_queue():
    ticket_bits = (EXECUTE_SLOTS - 1).bit_length()
    execution.TICKET_BITS, retirement.EXECUTE_QUEUE = ticket_bits, EXECUTE_SLOTS
    commands = (ComputeCommand(), StoreCommand(), ReadCommand(), FormatCommand(), ElementwiseCommand())
    clk, reset, push, full, empty, retire, hold = (bit() for _ in range(7))
    ticket, retired = vector(ticket_bits), vector(ticket_bits)
    return execution.execute_queue(
        clk, reset, push, vector(64), vector(2), full, empty, ticket, retire, retired, hold, *commands
    )


def new_unit(name: str):
    if name == "stream_register":
        return stream_register(bit(), bit(), narrow_stream(), narrow_stream())
    if name == "activation_queue":
        return activation_queue(bit(), bit(), bit(), vector(2), bit(), bit(), vector(2), bit(), SLOTS, HIGH_WATER)
    if name == "result_stream":
        return narrow_result_stream()
    if name == "execute_queue":
        return small_execute_queue()
    mask = (bit(), vector(8), vector(2), bit(), bit())
    return leading_nonzero_node(bit(), bit(), *mask, bit(), vector(2), vector(4), bit(), bit(), bit())


if __name__ == "__main__":
    for suffix in (".v", ".vhd"):
        shutil.copy(template_file("lut_ram" + suffix), sys.argv[1])
    for name in UNITS:
        for hdl in ("VHDL", "Verilog"):
            convert_hierarchy(new_unit(name), Path(sys.argv[1]), hdl, name)
