"""Every fault of the board: an error that says what happened, in time, no leak, and the next run is right."""

import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import eie
from eie.contract import isa
from eie.devices.virtual import KINDS, Fault, VirtualBoard
from eie.errors import DeviceError, VerificationError
from tests.pynq.faults import BATCH, DEADLINE, FAULTS, PATIENT, check_fault
from tests.pynq.networks import CONFIG, inputs, layer, model


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_a_decoded_error_in_time_and_the_next_run_is_right(virtual, accelerator, fault):
    check_fault(virtual, accelerator, FAULTS[fault])


@pytest.mark.parametrize("fault", FAULTS)
def test_on_request_a_run_that_met_a_fault_is_repeated_and_right(virtual, fault):
    network = model()
    with eie.Accelerator(eie.PynqDevice(virtual.bitfile, deadline=DEADLINE), retry=True) as acc:
        acc.load(network)
        a = inputs(network, BATCH)
        acc.run_raw(a)
        virtual.inject(FAULTS[fault][0])
        assert np.array_equal(acc.run_raw(a), eie.reference(network, a))
        assert not virtual.faults.pending


@pytest.mark.parametrize("fault", [name for name, (fault, _) in FAULTS.items() if fault.stream == "send"])
def test_a_fault_while_weights_are_loaded_does_not_leave_them_broken(virtual, fault):
    injected, _ = FAULTS[fault]
    network = model()
    with eie.Accelerator(eie.PynqDevice(virtual.bitfile, deadline=DEADLINE)) as acc:
        virtual.inject(injected)
        with pytest.raises(DeviceError):
            acc.load(network)
        a = inputs(network, BATCH)
        assert np.array_equal(acc.run_raw(a, model=network), eie.reference(network, a))


def test_an_error_after_a_whole_reply_is_an_error_all_the_same(accelerator):
    network = accelerator.load(model())
    (segment,) = accelerator.loaded[network].segments
    words = np.full(segment.words(2) + 1, 0xFF, np.uint64)  # an opcode that there is not, after the last READ
    segment.fill(inputs(network, 2), words[:-1])
    buffer = accelerator.device.allocate(words.nbytes)
    buffer[:] = words.view(np.uint8)
    accelerator.device.send(buffer, 2 * 8 * segment.output_words)
    with pytest.raises(DeviceError, match=r"the array has stopped; .*received 6 of 6 words; IP error BAD_OPCODE at"):
        accelerator.device.receive(2 * 8 * segment.output_words)
    accelerator.device.release(buffer)


def test_recovery_is_one_call(virtual, accelerator):
    network = accelerator.load(model())
    a = inputs(network, BATCH)
    virtual.inject(Fault("slave_error", "send", 3))
    with pytest.raises(DeviceError):
        accelerator.run_raw(a)
    accelerator.recover()
    assert np.array_equal(accelerator.run_raw(a), eie.reference(network, a))


@pytest.mark.parametrize("deadline", [0.05, 0.4])
def test_the_caller_sets_the_deadline(virtual, accelerator, deadline):
    network = accelerator.load(model())
    accelerator.device.deadline = deadline
    virtual.inject(Fault("stall", "send", 3))
    began = time.monotonic()
    with pytest.raises(DeviceError, match=f"no end after {deadline} s"):
        accelerator.run_raw(inputs(network, 1))
    assert deadline <= time.monotonic() - began < deadline + 0.5


def test_the_default_deadline_is_two_seconds(virtual):
    device = eie.PynqDevice(virtual.bitfile)
    assert device.deadline == 2.0
    device.close()


def test_a_reset_that_does_not_end_is_an_error_in_time(virtual, accelerator):
    network = accelerator.load(model())
    a = inputs(network, BATCH)
    accelerator.device.deadline = DEADLINE
    virtual.inject(Fault("stuck_reset"))
    began = time.monotonic()
    with pytest.raises(DeviceError, match=r"the reset of the DMA does not end: load the overlay again"):
        accelerator.recover()
    assert time.monotonic() - began < DEADLINE + 1.0
    accelerator.device.deadline = PATIENT
    assert np.array_equal(accelerator.run_raw(a), eie.reference(network, a)), "the next reset ended"


def test_a_bit_flip_in_an_activation_is_found_by_verification(virtual, accelerator):
    network = accelerator.load(model())
    a = inputs(network, BATCH)
    virtual.inject(Fault("flip", "send", 3, amount=14))
    with pytest.raises(VerificationError, match=r"each layer alone gives the right answer|layer 0, row"):
        accelerator.run_raw(a, verify=True)
    assert np.array_equal(accelerator.run_raw(a, verify=True), eie.reference(network, a))


def length_of(header, config):
    """An instruction and its words."""
    instruction = isa.BY_OPCODE[header & isa.OPCODE_MASK]
    return instruction, 1 + instruction.payload_words(config, instruction.decode(header))


def test_a_bit_flip_in_the_weights_is_found_by_verification_and_does_not_stay(small_board):
    roomy = dataclasses.replace(CONFIG, entries=2048, pointers=1024, rows=64, codebooks=16)
    # Neither ReLU nor saturation hides what the flip does to a sum.
    network = eie.Model([dataclasses.replace(layer(40, 40), relu=False, shift=10)])
    a = inputs(network, BATCH)
    weights = eie.pack(network, roomy).weights
    first, instruction = 0, None
    while instruction is not isa.ENTRIES:
        instruction, length = length_of(int(weights[first]), roomy)
        first += 1 if instruction is isa.ENTRIES else length
    with (
        VirtualBoard(dataclasses.replace(small_board, config=roomy)) as virtual,
        eie.Accelerator(virtual.bitfile) as acc,
    ):
        virtual.inject(Fault("flip", "send", first, amount=1))
        acc.load(network)
        with pytest.raises(VerificationError):
            acc.run_raw(a, verify=True)
        assert np.array_equal(acc.run_raw(a), eie.reference(network, a))


def test_a_bit_flip_in_a_reply_is_found_by_verification(virtual, accelerator):
    network = accelerator.load(model())
    a = inputs(network, BATCH)
    virtual.inject(Fault("flip", "receive", 3, amount=5))
    with pytest.raises(VerificationError, match="input 1: "):
        accelerator.run_raw(a, verify=True)
    assert np.array_equal(accelerator.run_raw(a, verify=True), eie.reference(network, a))


def test_a_program_damaged_in_memory_is_written_again_by_the_recovery(virtual, accelerator):
    network = accelerator.load(model())
    a = inputs(network, BATCH)
    for _ in range(2):
        accelerator.run_raw(a)
    for block in virtual.memory._blocks.values():
        block.processor[0] ^= 0x80
        block.fabric[0] = block.processor[0]
    with pytest.raises(DeviceError, match="BAD_OPCODE"):
        accelerator.run_raw(a)
    for _ in range(2):
        assert np.array_equal(accelerator.run_raw(a), eie.reference(network, a))


def test_exhausted_memory_is_an_error_that_says_so_and_smaller_batches_still_run(small_board):
    network = model()
    with VirtualBoard(small_board, cma_bytes=1 << 18) as virtual:
        with eie.Accelerator(virtual.bitfile) as acc:
            acc.load(network)
            many, few = inputs(network, 20_000), inputs(network, 10)
            acc.run_raw(few)
            live = virtual.memory.allocations
            for _ in range(2):
                with pytest.raises(
                    DeviceError, match=r"no contiguous memory for a buffer of \d+ bytes .*CMA: \d+ bytes"
                ):
                    acc.run_raw(many)
                assert np.array_equal(acc.run_raw(few), eie.reference(network, few))
                assert virtual.memory.allocations == live
        assert virtual.memory.allocations == 0


@pytest.mark.parametrize(
    ("by", "forgotten"),
    [("dma.py", "flush"), ("dma.py", "invalidate"), ("reply.py", "flush"), ("reply.py", "invalidate")],
)
def test_a_forgotten_flush_or_invalidate_is_found_wherever_it_is_forgotten(
    virtual, accelerator, monkeypatch, forgotten, by
):
    """Transfers flush and invalidate through pynq's DMA; the driver's own are those of the pattern in the reply."""
    from pynq.buffer import PynqBuffer

    calls = []
    original = getattr(PynqBuffer, forgotten)

    def forget(buffer):
        if Path(sys._getframe(1).f_code.co_filename).name == by:
            calls.append(buffer)
        else:
            original(buffer)

    monkeypatch.setattr(PynqBuffer, forgotten, forget)
    with pytest.raises((AssertionError, DeviceError)):
        check_fault(virtual, accelerator, FAULTS["reply stalls"])
    assert calls


def test_every_kind_of_fault_is_tested():
    assert {fault.kind for fault, _ in FAULTS.values()} | {"stuck_reset"} == set(KINDS)
