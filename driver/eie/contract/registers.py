"""The AXI4-Lite register map: the one description that driver, emulation, hardware and docs derive from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from eie.contract import isa, pipeline
from eie.contract.config import ArrayConfig

MAGIC = 0x31454945
"""Identity register: "EIE1" in little-endian bytes."""

VERSION = 3
"""Version of the register map; part of the build hash."""

ADDRESS_BITS = 16
COUNTERS_BASE = 0x1000
"""First per-PE counter; PE p's counters start at COUNTERS_BASE + p * COUNTERS_STRIDE."""

PE_COUNTERS = ("work", "padding", "starved", "blocked")
"""Per-PE counters, 32 bits each, in address order: entries of a non-zero code, padding entries, cycles of a COMPUTE
without an entry to work on, cycles in which the PE's full queue held back the broadcast."""

COUNTERS_STRIDE = 4 * len(PE_COUNTERS)


@dataclass(frozen=True)
class Register:
    """A 32-bit register."""

    name: str
    offset: int
    access: str
    text: str


def _wide(name: str, offset: int, counted: str) -> tuple[Register, Register]:
    """Return the registers of a 64-bit counter."""
    return (
        Register(f"{name}_low", offset, "r", f"{counted}, bits 31:0"),
        Register(f"{name}_high", offset + 4, "r", "bits 63:32"),
    )


_FIXED = (
    Register("identity", 0x00, "r", '"EIE1"'),
    Register("version", 0x04, "r", "instruction set version in bits 15:8, register map version in bits 7:0"),
    Register("hash", 0x08, "r", "build hash: first 32 bits of SHA-256 over parameters, instruction set and registers"),
    Register("control", 0x0C, "w", "bit 0: soft reset, bit 1: clear the counters, bit 2: clear the interrupt"),
    Register(
        "status",
        0x10,
        "r",
        "bit 0: idle (all instructions complete), bit 1: interrupt, bits 15:8: error code",
    ),
    Register("error_index", 0x14, "r", "index of the instruction in error since the last soft reset"),
    Register("instructions", 0x18, "r", "instructions accepted since the last soft reset"),
    Register("interrupt_enable", 0x1C, "rw", "bit 0: interrupt on error, bit 1: interrupt at the end of a READ"),
    *_wide("cycles", 0x20, "cycles in which a COMPUTE was in progress"),
    *_wide("broadcasts", 0x28, "activations broadcast"),
    *_wide("busy", 0x30, "cycles in which any instruction was in progress"),
    *_wide("stalled", 0x38, "cycles in which the input stream waited for the array"),
    Register(
        "owner",
        0x40,
        "rw",
        "who loaded what is in the memories, and how often: whatever the host wrote, 0 after a soft reset; "
        "written by whole words only",
    ),
    *_wide("start", 0x48, "of `cycles`, those before an activation of a COMPUTE had arrived"),
    *_wide("drain", 0x50, "of `cycles`, those in which the last sums of a COMPUTE settled"),
    *_wide("saturated", 0x58, "outputs lost to saturation"),
)

_PARAMETERS_BASE = 0x80

REGISTERS = _FIXED + tuple(
    Register(name, _PARAMETERS_BASE + 4 * i, "r", "array parameter")
    for i, name in enumerate(ArrayConfig().hardware_parameters())
)
BY_NAME = {register.name: register for register in REGISTERS}

CONTROL_SOFT_RESET = 1 << 0
CONTROL_CLEAR_COUNTERS = 1 << 1
CONTROL_CLEAR_INTERRUPT = 1 << 2
STATUS_IDLE = 1 << 0
STATUS_INTERRUPT = 1 << 1
STATUS_ERROR_SHIFT = 8
OWNER_MARK = 1 << 31
OWNER_GENERATIONS = 0xFF
"""Of "owner", by the hosts' convention: with this bit a random number, whose low bits count loads."""
WIDE_COUNTERS = tuple(r.name.removesuffix("_low") for r in _FIXED if r.name.endswith("_low"))
"""64-bit counters, as register pairs NAME_low, NAME_high."""


def offset(name: str) -> int:
    """Return the byte offset of a register."""
    return BY_NAME[name].offset


def counter_offset(pe: int, counter: str) -> int:
    """Return the byte offset of a PE's counter."""
    return COUNTERS_BASE + pe * COUNTERS_STRIDE + 4 * PE_COUNTERS.index(counter)


def build_hash(config: ArrayConfig) -> int:
    """Return the 32-bit hash of parameters, instruction set and register map that identifies a build."""
    description = {
        "config": config.hardware_parameters(),
        "isa": isa.layout(),
        "registers": [VERSION, [[r.name, r.offset, r.access] for r in REGISTERS], list(PE_COUNTERS)],
    }
    digest = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def constant_values(config: ArrayConfig) -> dict[int, int]:
    """Return the read-only constants of a build: register offset -> value."""
    values = {
        offset("identity"): MAGIC,
        offset("version"): isa.VERSION << 8 | VERSION,
        offset("hash"): build_hash(config),
    }
    for name, value in config.hardware_parameters().items():
        values[offset(name)] = int(value)
    return values


def markdown() -> str:
    """Return the register reference as Markdown; docs/registers.md is this text."""
    lines = ["# Registers", "", "Generated by `python -m eie.contract.registers > docs/registers.md`; do not edit.", ""]
    lines += ["| offset | name | access | meaning |", "|---|---|---|---|"]
    lines += [f"| 0x{r.offset:02x} | {r.name} | {r.access} | {r.text} |" for r in REGISTERS]
    lines += [
        f"| 0x{COUNTERS_BASE:04x} + {COUNTERS_STRIDE} p | {', '.join(PE_COUNTERS)} of PE p | r | 32 bits each |",
        "",
        "work: entries of a non-zero code. padding: entries of code 0. starved: cycles in which a COMPUTE was in",
        "progress and the PE had no entry to work on. blocked: cycles in which this PE's full queue held back the",
        "broadcast. The emulation counts work, padding, broadcasts and what saturated; it has no clock: counters of",
        "cycles read 0.",
        "",
        "start: no activation of any COMPUTE in progress had arrived at the PEs. drain: of a COMPUTE that broadcast",
        f"something and ended with none started behind it, the last {pipeline.DRAIN_CYCLES} cycles: no PE had an",
        "entry. These two, and the entries of the PE that has most, say why a PE starved (`eie.contract.starvation`).",
        "",
        "saturated: outputs of STOREs, and of ELEMENTWISEs other than TANH and SIGMOID, that rounded to more than",
        "32767 or were less than -32768, or whose sum did not fit the 25 bits that are scaled. What ReLU makes 0 or a",
        "FORMAT clips is not counted: it would be the same without saturation.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
