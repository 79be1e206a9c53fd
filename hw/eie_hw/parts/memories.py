"""The inferrable memories, each a hand-written HDL template (`lut_ram`, `block_ram` ...) and a Python model of it.

The depth follows from the address: every value of `read_address` is a word.
"""

from __future__ import annotations

from pathlib import Path

from myhdl import always, block

from eie.errors import DeviceError
from eie_hw.parts.interfaces import bit

MEMORIES = ("lut_ram", "block_ram", "single_port_ram", "ultra_ram")
TEMPLATES = (*MEMORIES, "multiply_accumulate")
"""Names of the hand-written files, `NAME.vhd` and `NAME.v` beside this module; they are compiled first."""
TARGETS: dict[str, dict[str, str]] = {
    "simulation": {},
    "xc7": {"multiply_accumulate": "multiply_accumulate_dsp48e1"},
    "xcup": {"multiply_accumulate": "multiply_accumulate_dsp48e2"},
}
"""What the HDL is for, a simulator or a family of devices: the files in place of those that are simulated; they behave
the same."""


def template_files(target: str, ultra_ram: bool = False) -> list[str]:
    """Return the names of the hand-written files for a target, without ending, in the order of compilation; with
    UltraRAM, which 7-series devices have not, where an array keeps its entries there."""
    if target not in TARGETS:
        raise ValueError(f"target={target!r} must be one of {tuple(TARGETS)}")
    if ultra_ram and target == "xc7":
        raise DeviceError("7-series devices have no UltraRAM: the array must keep its entries in block RAM")
    return [TARGETS[target].get(name, name) for name in TEMPLATES if ultra_ram or name != "ultra_ram"]


def template_file(name: str) -> Path:
    """Return the path of a template's file, `NAME.vhd` or `NAME.v`."""
    return Path(__file__).with_name(name)


_VHDL = """\
${read_data}_memory: entity work.%s
    generic map (DEPTH => $depth, ADDRESS_BITS => $address_bits, WIDTH => $width)
    port map (clk => $clk, write => $write, write_address => $write_address, write_data => $write_data,
              read_address => $read_address, read_data => $read_data);
"""

_VERILOG = """\
%s #(.DEPTH($depth), .ADDRESS_BITS($address_bits), .WIDTH($width)) ${read_data}_memory (
    .clk($clk), .write($write), .write_address($write_address), .write_data($write_data),
    .read_address($read_address), .read_data($read_data)
);
"""


@block
def lut_ram(clk, write, write_address, write_data, read_address, read_data):
    """Distributed memory with one write port and one asynchronous read port; zero at power-on.

    **Ports**

    - `clk`
    - `write`, `write_address`, `write_data` in
    - `read_address` in; `read_data` out, in the same cycle

    **Timing**: a word written in cycle t reads back in cycle t + 1.
    """
    address_bits, width = len(read_address), len(read_data)  # noqa: F841 (the template takes it)
    depth = 1 << address_bits
    memory = [0] * depth
    changed = _mark(clk, write, write_address, write_data, read_address, read_data)

    @always(clk.posedge)
    def store():
        if write:
            memory[int(write_address)] = int(write_data)
            changed.next = not changed

    @always(read_address, changed)
    def fetch():
        read_data.next = memory[int(read_address)]

    return store, fetch


lut_ram.vhdl_code = _VHDL % "lut_ram"
lut_ram.verilog_code = _VERILOG % "lut_ram"


@block
def block_ram(clk, write, write_address, write_data, read_address, read_data):
    """Block memory with one write port and one registered read port; zero at power-on.

    **Ports**

    - `clk`
    - `write`, `write_address`, `write_data` in
    - `read_address` in; `read_data` out, one cycle later

    **Timing**: reading the word that is being written gives an undefined value (the model gives the old one).
    """
    address_bits, width = len(read_address), len(read_data)  # noqa: F841 (the template takes it)
    depth = 1 << address_bits  # noqa: F841 (likewise)
    return _registered_read(clk, write, write_address, write_data, read_address, read_data)


block_ram.vhdl_code = _VHDL % "block_ram"
block_ram.verilog_code = _VERILOG % "block_ram"


@block
def ultra_ram(clk, write, write_address, write_data, read_address, read_data):
    """UltraRAM (UltraScale+ devices; AMD UG573): 4096 words of 72 bits, with one write port and one registered read
    port of the same clock; it cannot be initialised and is zero at power-on.

    **Ports**

    - `clk`
    - `write`, `write_address`, `write_data` in
    - `read_address` in; `read_data` out, one cycle later

    **Timing**: reading the word that is being written gives an undefined value (the model gives the old one).
    """
    address_bits, width = len(read_address), len(read_data)  # noqa: F841 (the template takes it)
    depth = 1 << address_bits  # noqa: F841 (likewise)
    return _registered_read(clk, write, write_address, write_data, read_address, read_data)


ultra_ram.vhdl_code = _VHDL % "ultra_ram"
ultra_ram.verilog_code = _VERILOG % "ultra_ram"


@block
def single_port_ram(clk, write, write_data, address, read_data):
    """Distributed memory with one address for writing and asynchronous reading, at half the cost; zero at power-on.

    **Ports**

    - `clk`
    - `write`, `write_data` in
    - `address` in; `read_data` out, in the same cycle

    **Timing**: a word written in cycle t reads back in cycle t + 1.
    """
    address_bits, width = len(address), len(read_data)  # noqa: F841 (the template takes it)
    depth = 1 << address_bits
    memory = [0] * depth
    changed = _mark(clk, write, address, write_data, address, read_data)

    @always(clk.posedge)
    def store():
        if write:
            memory[int(address)] = int(write_data)
            changed.next = not changed

    @always(address, changed)
    def fetch():
        read_data.next = memory[int(address)]

    return store, fetch


single_port_ram.vhdl_code = """\
${read_data}_memory: entity work.single_port_ram
    generic map (DEPTH => $depth, ADDRESS_BITS => $address_bits, WIDTH => $width)
    port map (clk => $clk, write => $write, write_data => $write_data, address => $address, read_data => $read_data);
"""
single_port_ram.verilog_code = """\
single_port_ram #(.DEPTH($depth), .ADDRESS_BITS($address_bits), .WIDTH($width)) ${read_data}_memory (
    .clk($clk), .write($write), .write_data($write_data), .address($address), .read_data($read_data)
);
"""


def _mark(clk, write, write_address, write_data, read_address, read_data):
    """Tell the conversion which signals the template reads and drives; return a signal for the model."""
    if len(write_address) != len(read_address) or len(write_data) != len(read_data):
        raise ValueError(
            f"memory ports disagree: {len(write_address)}/{len(read_address)} address bits, "
            f"{len(write_data)}/{len(read_data)} data bits"
        )
    for port in (clk, write, write_address, write_data, read_address):
        port.read = True
    read_data.driven = "wire"
    return bit()


@block
def _registered_read(clk, write, write_address, write_data, read_address, read_data):
    """The model of a memory that is read into a register."""
    memory = [0] * (1 << len(read_address))
    _mark(clk, write, write_address, write_data, read_address, read_data)

    @always(clk.posedge)
    def access():
        read_data.next = memory[int(read_address)]
        if write:
            memory[int(write_address)] = int(write_data)

    return access
