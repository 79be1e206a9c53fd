"""Every fault of the board is an error that says what happened, in time, and the next run is right."""

import dataclasses
import re
import struct
import time

import numpy as np
import pytest

import eie
from eie.boards.board import board
from eie.contract import registers
from eie.contract.isa import ErrorCode
from eie.devices.virtual import Fault, VirtualBoard
from tests.driver.c.bridge import Runtime
from tests.pynq.faults import BATCH, DEADLINE, FAULTS
from tests.pynq.networks import CONFIG, inputs, model, streamed_model

SMALL = dataclasses.replace(board("pynq-z2"), config=CONFIG)
DEADLINE_US = int(DEADLINE * 1e6)
PATIENT_US = 120_000_000
DEVICE_ERROR = 3


def in_microseconds(pattern):
    """What the Python driver says, in the C runtime's unit of time."""
    return pattern.replace(f"{DEADLINE} s", f"{DEADLINE_US} us")


@pytest.fixture
def runtime(here):
    with Runtime(here, VirtualBoard(SMALL)) as runtime:
        assert runtime.open(PATIENT_US)[0] == 0
        assert runtime.pack([model()], CONFIG)[0] == 0
        yield runtime


def runs_right(runtime):
    a = inputs(runtime.models[0], BATCH)
    status, message, y = runtime.run(a)
    return (status, message) == (0, "") and np.array_equal(y, eie.reference(runtime.models[0], a))


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_decoded_error_in_time_and_the_next_run_is_right(runtime, name):
    fault, text = FAULTS[name]
    for _ in range(2):
        assert runs_right(runtime)
    runtime.command(b"d", DEADLINE_US)
    runtime.board.inject(fault)
    began = time.monotonic()
    status, message, _ = runtime.run(inputs(runtime.models[0], BATCH))
    assert time.monotonic() - began < DEADLINE + 1.0
    assert status == DEVICE_ERROR
    assert re.search(in_microseconds(text), message), message
    assert not runtime.board.faults.pending, "the fault has happened"
    runtime.command(b"d", PATIENT_US)
    for _ in range(3):
        assert runs_right(runtime)


@pytest.mark.parametrize("name", [name for name, (fault, _) in FAULTS.items() if fault.stream == "send"])
def test_a_fault_while_weights_are_loaded_does_not_leave_them_broken(here, name):
    with Runtime(here, VirtualBoard(SMALL)) as runtime:
        assert runtime.open(DEADLINE_US)[0] == 0
        runtime.board.inject(FAULTS[name][0])
        status, message = runtime.pack([model()], CONFIG)
        assert (status, bool(message)) == (DEVICE_ERROR, True)
        runtime.command(b"d", PATIENT_US)
        assert runs_right(runtime)


def test_the_error_of_the_array_is_there_as_numbers_too(runtime):
    runtime.board.inject(FAULTS["bit flips in an opcode"][0])
    assert runtime.run(inputs(runtime.models[0], BATCH))[0] == DEVICE_ERROR
    code, index = struct.unpack("<4I", runtime.command(b"s")[2])[:2]
    assert code == ErrorCode.BAD_OPCODE
    assert index > 0
    assert runs_right(runtime)
    assert struct.unpack("<4I", runtime.command(b"s")[2])[0] == 0


def test_a_reset_that_does_not_end_is_an_error_in_time(runtime):
    runtime.command(b"d", DEADLINE_US)
    runtime.board.inject(Fault("stuck_reset"))
    began = time.monotonic()
    status, message, _ = runtime.command(b"v")
    assert status == DEVICE_ERROR
    assert message.startswith("the reset of the DMA does not end: load the overlay again")
    assert time.monotonic() - began < DEADLINE + 1.0
    runtime.command(b"d", PATIENT_US)
    assert runs_right(runtime), "the next reset ended"


def test_an_array_that_somebody_else_has_used_is_loaded_again(runtime):
    assert runs_right(runtime)
    array = runtime.board.board.array_address
    runtime.board.bus.write(array + registers.offset("control"), registers.CONTROL_SOFT_RESET)
    assert runs_right(runtime)
    runtime.board.bus.write(array + registers.offset("owner"), 5)
    assert runs_right(runtime)


def test_an_array_that_is_taken_in_mid_run_gives_no_answer(here):
    """Another writes the register `owner` while a run is under way."""
    with Runtime(here, VirtualBoard(SMALL)) as runtime:
        assert runtime.open(PATIENT_US)[0] == 0
        assert runtime.pack([model()], CONFIG)[0] == 0
        write = runtime.board.bus.write
        dma = runtime.board.board.dma_address

        def take(address, value):
            write(address, value)
            if dma <= address < dma + 0x100:
                runtime.board.fabric.write_register(registers.offset("owner"), 77)

        runtime.board.bus.write = take
        status, message, _ = runtime.run(inputs(runtime.models[0], BATCH))
        assert status == DEVICE_ERROR and message.startswith("somebody else has taken the array in mid-run")
        runtime.board.bus.write = write
        assert runs_right(runtime)


def test_instructions_that_were_lost_are_noticed(runtime):
    runtime.board.fabric.executor.send(eie.pack(model(), CONFIG).weights.view(np.uint8))
    status, message, _ = runtime.run(inputs(runtime.models[0], 1))
    assert status == DEVICE_ERROR
    assert "were sent: a part of a transfer was lost, or somebody else uses the array" in message
    assert runs_right(runtime)


@pytest.mark.parametrize("other", [{"entries": 256}, {"num_pes": 8}])
def test_a_file_of_another_array_is_refused(here, other):
    with Runtime(here, VirtualBoard(SMALL)) as runtime:
        assert runtime.open()[0] == 0
        status, message = runtime.pack([model()], dataclasses.replace(CONFIG, **other))
        assert status == 1
        assert "pack the model for this board's array" in message


def test_too_little_memory_is_named_with_what_is_needed(here):
    with Runtime(here, VirtualBoard(SMALL), 4096) as runtime:
        assert runtime.open()[0] == 0
        status, message = runtime.pack([streamed_model()], CONFIG)
        assert status == DEVICE_ERROR
        assert "bytes of DMA memory; the platform gives 4096" in message


@pytest.mark.parametrize(
    ("register", "text"),
    [("identity", "this is not an EIE array"), ("version", "instruction set, registers), this runtime speaks")],
)
def test_what_is_no_array_of_this_version_is_refused(here, register, text):
    virtual = VirtualBoard(SMALL)
    read = virtual.bus.read
    wrong = SMALL.array_address + registers.offset(register)
    virtual.bus.read = lambda address: 0xBAD if address == wrong else read(address)
    with Runtime(here, virtual) as runtime:
        status, message = runtime.open()
        assert (status, text in message) == (DEVICE_ERROR, True)
        assert "0x00000bad" in message
        status, message = runtime.pack([model()], CONFIG)
        assert (status, message) == (DEVICE_ERROR, "the device is not open; call eie_open")
