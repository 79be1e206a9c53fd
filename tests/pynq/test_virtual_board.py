"""The virtual board for users' own pynq code: overlays, the DMA driver, buffers, clocks, mistakes."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import eie
from eie.demo.board_faults import demonstrate
from eie.devices.virtual import Fault, VirtualBoard, VirtualBoardError
from eie.errors import DeviceError
from tests.pynq.networks import inputs, model


def test_plain_pynq_code_runs_a_program(virtual):
    """What a notebook does without this package's driver: the bytes are the same."""
    import pynq

    network = model()
    packed = eie.pack(network, virtual.board.config)
    a = inputs(network, 3)
    (segment,) = packed.segments
    overlay = pynq.Overlay(virtual.bitfile)
    dma = overlay.axi_dma_0
    with (
        pynq.allocate((len(packed.weights),), np.uint64) as weights,
        pynq.allocate((segment.words(3),), np.uint64) as program,
        pynq.allocate((3 * segment.output_words,), np.uint64) as outputs,
    ):
        weights[:] = packed.weights
        segment.fill(a, np.asarray(program))
        dma.sendchannel.transfer(weights)
        dma.sendchannel.wait()
        dma.recvchannel.transfer(outputs)
        dma.sendchannel.transfer(program)
        dma.sendchannel.wait()
        dma.recvchannel.wait()
        assert dma.recvchannel.transferred == outputs.nbytes
        received = segment.unpack(np.array(outputs).view(np.uint8), 3)
    assert np.array_equal(received, eie.reference(network, a))
    assert virtual.memory.allocations == 0


def test_pynq_itself_says_of_a_dma_that_an_error_halted_only_that_it_is_not_started(virtual):
    """On a board too: the channel halts before anybody asks for the error. The driver of this package decodes it."""
    import pynq

    dma = pynq.Overlay(virtual.bitfile).axi_dma_0
    virtual.inject(Fault("slave_error", "send", 0))
    with pynq.allocate((8,), np.uint64) as buffer:
        dma.sendchannel.transfer(buffer)
        with pytest.raises(RuntimeError, match="DMA channel not started"):
            dma.sendchannel.wait()


def test_the_clock_of_the_fabric_is_the_boards(virtual):
    import pynq

    pynq.Overlay(virtual.bitfile)
    assert pynq.Clocks.fclk0_mhz == pytest.approx(virtual.board.clock_mhz, rel=0.01)


def rewrite_divisor(virtual, factor):
    """Let the .hwh state divisors for another PLL, as Vivado's do where it supposes one."""
    path = Path(virtual.bitfile).with_suffix(".hwh")
    tree = ElementTree.parse(path)
    for parameter in tree.getroot().iter("PARAMETER"):
        if parameter.get("NAME", "").endswith(("FCLK0_PERIPHERAL_DIVISOR0", "PL0_REF_CTRL__DIVISOR0")):
            parameter.set("VALUE", str(round(int(parameter.get("VALUE")) * factor)))
    tree.write(path)


@pytest.mark.parametrize("factor", [0.5, 1, 2])
def test_the_array_runs_at_the_clock_it_is_built_for_whatever_pll_the_divisors_are_meant_for(virtual, factor):
    import pynq

    from eie.devices.pynq_board.device import PynqDevice

    rewrite_divisor(virtual, factor)
    overlay = pynq.Overlay(virtual.bitfile)
    # pynq 3 writes the divisors that the .hwh states; pynq 4 chooses them itself, for the frequency that it states.
    misled = 1 if int(pynq.__version__.partition(".")[0]) >= 4 else factor
    assert pynq.Clocks.fclk0_mhz == pytest.approx(virtual.board.clock_mhz / misled, rel=0.15)
    device = PynqDevice(overlay.bitfile_name)
    assert device.clock_mhz == pytest.approx(virtual.board.clock_mhz, rel=0.01)
    assert pynq.Clocks.fclk0_mhz == device.clock_mhz


def test_a_clock_that_stays_too_fast_is_refused(virtual, monkeypatch):
    import pynq

    from eie.devices.pynq_board import overlay

    pynq.Overlay(virtual.bitfile)
    monkeypatch.setattr(
        overlay.pynq,
        "Clocks",
        type(
            "Clocks", (), {f"fclk{i}_mhz": property(lambda _, i=i: 150.0 + 50 * i, lambda *_: None) for i in (0, 1)}
        )(),
    )
    with pytest.raises(DeviceError, match="the array's clock runs at 150 MHz, the overlay is built for 100"):
        overlay.run_clocks({0: 100})
    with pytest.raises(DeviceError, match="the memory port's clock runs at 200 MHz, the overlay is built for 180"):
        overlay.run_clocks({0: 150, 1: 180})
    assert overlay.run_clocks({0: 150.2, 1: 200}) == overlay.run_clocks({}) == 150


def test_registers_are_read_by_name_through_the_ip_driver(virtual):
    import pynq

    from eie.devices.pynq_board.overlay import EieArray

    overlay = pynq.Overlay(virtual.bitfile)
    assert isinstance(overlay.eie_top_0, EieArray)
    assert overlay.eie_top_0.read(0) == eie.contract.registers.MAGIC
    assert overlay.eie_top_0.mmio.array[0:2][0] == eie.contract.registers.MAGIC


def test_a_loop_that_waits_for_ever_is_ended(virtual, monkeypatch):
    import pynq

    monkeypatch.setattr("eie.devices.virtual.bus._PATIENCE_SECONDS", 0.2)
    dma = pynq.Overlay(virtual.bitfile).axi_dma_0
    with pynq.allocate((8,), np.uint64) as buffer:
        dma.recvchannel.transfer(buffer)
        with pytest.raises(VirtualBoardError, match=r"was read for 0\.2 s: the driver hangs"):
            dma.recvchannel.wait()  # nothing was sent


def test_after_the_board_pynq_has_the_device_that_it_had(small_board):
    from pynq.pl_server.device import Device

    before = vars(Device).get("_active_device")
    with VirtualBoard(small_board) as first:
        assert Device.active_device is first._device
        with VirtualBoard(small_board) as second:
            assert Device.active_device is second._device
            assert eie.Accelerator(second.bitfile).device.overlay.device is second._device
        assert Device.active_device is first._device
    assert vars(Device).get("_active_device") is before
    with pytest.raises(VirtualBoardError, match="the virtual board is not in use"):
        _ = first.bitfile


def test_a_buffer_freed_in_mid_transfer_is_reported(virtual):
    import pynq

    dma = pynq.Overlay(virtual.bitfile).axi_dma_0
    buffer = pynq.allocate((8,), np.uint64)
    dma.sendchannel.transfer(buffer)
    buffer.freebuffer()
    with pytest.raises(VirtualBoardError, match="not a live buffer: on a board this reads or damages foreign memory"):
        dma.sendchannel.wait()
    dma.mmio.write(0, 4)


def test_the_demonstration_tells_of_right_answers_a_decoded_fault_and_recovery(board_name):
    told = []
    demonstrate(board_name, images=20, tell=told.append)
    text = "\n".join(told)
    assert "every output equals the integer reference" in text
    assert "With an injected fault: the DMA has stopped; send channel: DMASlvErr" in text
    assert "same outputs" in text
