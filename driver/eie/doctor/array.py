"""Checks of the array itself: identity, transfers, errors, an inference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from eie.contract import isa, registers
from eie.data import mnist
from eie.devices.interface import Device, check_identity, error_text
from eie.doctor.check import FAIL, OK, Findings
from eie.errors import EieError
from eie.program.assembler import Program
from eie.runtime.accelerator import Accelerator

_IMAGES = 16


def check_device(findings: Findings, name: str, opener: Callable[[], Device]) -> None:
    try:
        device = opener()
    except EieError as error:
        findings.add("device", FAIL, str(error), "see the message; docs/virtual-board.md and docs/overlay.md help")
        return
    if name == "auto":
        name = type(device).__name__
    try:
        config = device.config
        try:
            check_identity(device)
        except EieError as error:
            findings.add(
                "array", FAIL, str(error), "rebuild the overlay, or install the version that it was built with"
            )
            return
        found = f"{name}: {config.num_pes} PEs, build hash 0x{registers.build_hash(config):08x}"
        findings.add("array", OK, found)
        if clock := getattr(device, "clock_mhz", None):
            findings.add("clock", OK, f"{clock:g} MHz, not above what the overlay is built for")
        for what, check in (("transfer", _transfer), ("errors", _errors), ("self-test", _self_test)):
            try:
                findings.add(what, OK, check(device))
            except EieError as error:
                remedy = "load the overlay again, or restart the board; docs/virtual-board.md explains the message"
                findings.add(what, FAIL, str(error), remedy)
                return
    finally:
        device.close()


def _transfer(device: Device) -> str:
    """Send a pattern through the array's memory and back."""
    config = device.config
    words = config.activation_groups * config.words_per_group
    pattern = np.random.default_rng(0).integers(0, 1 << 63, words, np.uint64)
    groups = config.activation_groups
    program = Program(config)
    program.emit(isa.ACTIVATIONS, pattern, address=0, count=groups)
    program.emit(isa.READ, last=1, words=0, address=0, count=groups)
    received = _exchange(device, np.concatenate(program.parts), pattern.nbytes)
    if not np.array_equal(received, pattern):
        wrong = int(np.count_nonzero(received != pattern)) if len(received) == words else words
        raise EieError(f"{wrong} of {words} words came back other than they were sent")
    return f"{pattern.nbytes:,} bytes there and back are the same"


def _errors(device: Device) -> str:
    """Send what is no instruction, and recover."""
    flit = np.zeros(device.config.flit_words, np.uint64)
    flit[0] = 0xFF
    _exchange(device, flit, 0, may_fail=True)
    text = error_text(device)
    device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
    if "BAD_OPCODE" not in text or error_text(device):
        raise EieError(f"a bad instruction gave {text or 'no error'!r}, after a reset {error_text(device) or 'none'!r}")
    return "a bad instruction is reported, and a reset clears it"


def _exchange(device: Device, words: np.ndarray, reply_bytes: int, may_fail: bool = False) -> np.ndarray:
    buffer = device.allocate(words.nbytes)
    try:
        buffer[: words.nbytes] = words.view(np.uint8)
        device.send(buffer[: words.nbytes], reply_bytes)
        return np.asarray(device.receive(reply_bytes)).view(np.uint64)
    except EieError:
        if not may_fail:
            raise
        return np.zeros(0, np.uint64)
    finally:
        device.release(buffer)


def _self_test(device: Device) -> str:
    """Run the shipped network and compare every output with the integer reference."""
    digits = mnist.test_digits()
    accelerator = Accelerator(device)
    model = accelerator.load(mnist.DATA / "lenet-300-100.eie")
    outputs = accelerator.run(digits.inputs()[:_IMAGES], verify=True)
    right = int(np.count_nonzero(outputs.argmax(axis=1) == digits.labels[:_IMAGES]))
    return f"{model.name}: {outputs.size} outputs equal the reference, {right} of {_IMAGES} digits are right"
