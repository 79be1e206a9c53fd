"""The processor's caches: what is flushed before a transfer, and invalidated after it."""

from types import SimpleNamespace

import numpy as np
import pytest

import eie
from tests.pynq.networks import inputs, model, streamed_model


@pytest.mark.parametrize("forgotten", ["flush", "invalidate"])
def test_a_forgotten_flush_or_invalidate_gives_wrong_answers(virtual, accelerator, forgotten):
    """This is the test of the virtual board that makes all others tests of the driver's cache handling."""
    network = accelerator.load(model())
    a = inputs(network, 5)
    for _ in range(2):  # both buffers hold a program now
        assert np.array_equal(accelerator.run_raw(a), eie.reference(network, a))
    setattr(virtual.memory, forgotten, lambda address, nbytes: None)
    b = inputs(network, 5, seed=1)
    assert not np.array_equal(accelerator.run_raw(b), eie.reference(network, b))


def test_of_a_streamed_program_only_the_activations_are_flushed_again(virtual, accelerator, monkeypatch):
    network = accelerator.load(streamed_model())
    a = inputs(network, 6)
    monkeypatch.setattr("eie.program.segment.SHORT_UNIT_WORDS", 0)
    flushed = []
    flush = virtual.memory.flush
    monkeypatch.setattr(virtual.memory, "flush", lambda at, nbytes: (flushed.append(nbytes), flush(at, nbytes))[1])
    costs = []
    for i in range(4):
        flushed.clear()
        assert np.array_equal(accelerator.run_raw(a + i), eie.reference(network, a + i))
        costs.append(sum(flushed))
    assert costs[2] == costs[3] < costs[0] / 4, "each of the two buffers is flushed whole once"
    assert costs[2] == eie.estimate(network, accelerator.device.config, a).flushed_bytes


def test_a_part_of_a_buffer_is_flushed_by_its_size_and_place_in_xrts_buffer_object(virtual, monkeypatch):
    """pyxrt is on boards only; what it is called with is what its Python binding takes: direction, size, offset."""
    import pynq

    from eie.devices.pynq_board import channel

    calls = []

    class BufferObject:
        def sync(self, direction, size, offset):
            calls.append((direction, size, offset))

    directions = SimpleNamespace(XCL_BO_SYNC_BO_TO_DEVICE="to device")
    monkeypatch.setattr(channel, "pyxrt", SimpleNamespace(bo=BufferObject, xclBOSyncDirection=directions))
    buffer = pynq.allocate((4096,), np.uint8)
    buffer.bo = BufferObject()
    whole = channel.flushed(buffer, [slice(64, 128), slice(1024, 1032)])
    assert calls == [("to device", 64, 64), ("to device", 8, 1024)]
    assert whole.coherent and not buffer.coherent and whole.nbytes == buffer.nbytes
    buffer.freebuffer()


def test_a_program_that_was_filled_but_never_sent_is_flushed_whole(virtual, accelerator, monkeypatch):
    network = accelerator.load(streamed_model())
    monkeypatch.setattr("eie.program.segment.SHORT_UNIT_WORDS", 0)
    a = inputs(network, 6)
    send = type(accelerator.device).send

    def interrupted(*args):
        monkeypatch.setattr(type(accelerator.device), "send", send)
        raise KeyboardInterrupt

    for _ in range(3):
        monkeypatch.setattr(type(accelerator.device), "send", interrupted)
        with pytest.raises(KeyboardInterrupt):
            accelerator.run_raw(a)
        assert np.array_equal(accelerator.run_raw(a), eie.reference(network, a))
