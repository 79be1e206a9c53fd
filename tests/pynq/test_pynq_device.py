"""The driver on the real pynq library: answers, buffers, transfers, names."""

import dataclasses
import gc
import resource
from pathlib import Path

import numpy as np
import pytest

import eie
from eie.boards.board import board
from eie.boards.memory_port import port_clock_mhz, port_has_own_clock
from eie.contract import registers
from eie.data import mnist
from eie.devices.virtual import VirtualBoard
from eie.errors import DeviceError
from tests.pynq.faults import PATIENT
from tests.pynq.networks import inputs, model, recurrent_model, streamed_model


def test_three_lines_run_a_network_on_the_board(virtual, tmp_path):
    network = model()
    eie.save(network, tmp_path / "network.eie")
    acc = eie.Accelerator(virtual.bitfile)
    acc.load(tmp_path / "network.eie")
    y = acc.run(inputs(network, 20).astype(float), verify=True)
    assert np.array_equal(y, eie.reference(network, inputs(network, 20)))
    assert acc.config == virtual.board.config, "read from the registers"
    acc.close()


@pytest.mark.parametrize("network", [model(), streamed_model()], ids=["resident", "streamed"])
def test_every_inference_equals_the_first(accelerator, network):
    accelerator.load(network)
    a = inputs(network, 5)
    expected = eie.reference(network, a)
    for _ in range(5):
        assert np.array_equal(accelerator.run_raw(a), expected)


@pytest.mark.parametrize("network", [model(), streamed_model()], ids=["resident", "streamed"])
def test_an_array_of_a_wider_stream_is_driven_at_its_width_with_the_clocks_it_is_built_for(board_name, network):
    import pynq

    config = eie.ArrayConfig(num_pes=32, entries=64, pointers=64, rows=4, activations=256, stream_bits=128)
    wide = dataclasses.replace(board(board_name), config=config)
    with VirtualBoard(wide) as virtual, eie.Accelerator(virtual.bitfile) as accelerator:
        assert accelerator.config == config, "read from the registers"
        assert accelerator.device.clock_mhz == pytest.approx(wide.clock_mhz, rel=0.01)
        if port_has_own_clock(wide):
            assert pynq.Clocks.fclk1_mhz == pytest.approx(port_clock_mhz(wide), rel=0.01)
        accelerator.load(network)
        a = inputs(network, 5)
        assert np.array_equal(accelerator.run_raw(a), eie.reference(network, a))


@pytest.mark.parametrize("network", [eie.LSTM, eie.GRU])
def test_sequences_are_the_references_and_states_stay_from_one_to_the_next(accelerator, network):
    recurrent, x = recurrent_model(network)
    whole = accelerator.run(x, model=recurrent, verify=True)
    first = accelerator.run(x[:, :3], model=recurrent)
    rest = accelerator.run(x[:, 3:], model=recurrent, keep_states=True)
    assert np.array_equal(np.concatenate([first, rest], axis=1), whole)


@pytest.mark.full
@pytest.mark.parametrize("sizes", [(eie.LSTM, 1024, 1024), (eie.GRU, 768, 768), (eie.LSTM, 601, 600)], ids=str)
def test_dense_recurrent_layers_of_real_sizes_are_the_references(board_name, sizes):
    recurrent, x = recurrent_model(*sizes, sequences=1, steps=3)
    with VirtualBoard(board(board_name)) as virtual, eie.Accelerator(virtual.bitfile) as accelerator:
        accelerator.device.deadline = PATIENT
        accelerator.run(x, model=recurrent, verify=True)
        assert not accelerator.loaded[recurrent].resident


def test_answers_are_right_whatever_the_order_of_models_and_batches(accelerator):
    networks = [model(0), model(1), streamed_model()]
    rng = np.random.default_rng(0)
    for i, batch in zip(rng.integers(0, 3, 30), rng.integers(1, 40, 30), strict=True):
        a = inputs(networks[i], int(batch), seed=int(batch))
        assert np.array_equal(accelerator.run_raw(a, model=networks[i]), eie.reference(networks[i], a))


def test_buffers_are_allocated_once_and_reused(virtual, accelerator, monkeypatch):
    monkeypatch.setattr("eie.program.segment._TRANSFER_BYTES", 4000)
    network = accelerator.load(model())
    a = inputs(network, 100)
    accelerator.run_raw(a)
    live, at = virtual.memory.allocations, [block.address for block in virtual.memory._blocks.values()]
    assert live == 3, "two for programs, one for replies"
    for _ in range(10):
        accelerator.run_raw(a)
    assert [block.address for block in virtual.memory._blocks.values()] == at


def test_the_host_fills_a_buffer_while_the_board_works_on_the_other(virtual, accelerator, monkeypatch):
    monkeypatch.setattr("eie.program.segment._TRANSFER_BYTES", 4000)
    network = accelerator.load(model())
    busy = []

    def watch(x, bits, *out):
        busy.append(virtual.dma._send.active or virtual.dma._receive.active)
        return x.astype(np.int16)

    monkeypatch.setattr("eie.runtime.chains.quantise", watch)
    a = inputs(network, 100)
    assert np.array_equal(accelerator.run(a), eie.reference(network, a))
    assert len(busy) > 2
    assert busy == [False] + [True] * (len(busy) - 1), "only the first transfer is filled while the board waits"


def test_the_receiver_is_armed_before_anything_is_sent(virtual, accelerator):
    network = accelerator.load(model())
    writes = []
    write = virtual.dma.write
    virtual.dma.write = lambda offset, value: (writes.append(offset), write(offset, value))
    accelerator.run_raw(inputs(network, 3))
    send_length, receive_length = 0x28, 0x58
    assert writes.index(receive_length) < writes.index(send_length)


def test_programs_longer_than_a_dma_transfer_are_cut_between_instructions(small_board):
    with VirtualBoard(dataclasses.replace(small_board, dma_length_bits=12)) as virtual:
        network = streamed_model()
        with eie.Accelerator(virtual.bitfile) as acc:
            assert acc.device.dma.buffer_max_size == 4095
            acc.load(network)
            a = inputs(network, 4)
            assert acc.loaded[network].segments[0].words(1) * 8 > 4095
            assert np.array_equal(acc.run_raw(a), eie.reference(network, a))
            with pytest.raises(DeviceError, match="a reply of 8192 bytes exceeds the 4095 of a DMA transfer"):
                acc.device.send(acc.device.allocate(64), 8192)
        assert virtual.memory.allocations == 0


def test_send_takes_only_buffers_of_allocate_and_one_transfer_at_a_time(accelerator):
    device = accelerator.device
    with pytest.raises(DeviceError, match="send takes a buffer of allocate, not ndarray"):
        device.send(np.zeros(64, np.uint8))
    buffer = device.allocate(64)
    with pytest.raises(DeviceError, match="a transfer of 12 bytes is not a multiple of 8"):
        device.send(buffer[:12])
    device.send(buffer)
    with pytest.raises(DeviceError, match="a transfer is under way"):
        device.send(buffer)
    device.release(buffer)


def test_counters_and_registers_are_read_through_pynq(accelerator):
    network = accelerator.load(model())
    accelerator.clear_counters()
    a = inputs(network, 5)
    accelerator.run_raw(a)
    emulated = eie.Accelerator(eie.EmulatedDevice(accelerator.config))
    emulated.run_raw(a, model=network)
    assert accelerator.counters.broadcasts == emulated.counters.broadcasts > 0
    assert np.array_equal(accelerator.counters.work, emulated.counters.work)
    assert accelerator.device.read_register(registers.offset("identity")) == registers.MAGIC


def test_closing_frees_everything_even_in_mid_transfer(virtual):
    acc = eie.Accelerator(virtual.bitfile)
    acc.load(model())
    acc.run_raw(inputs(model(), 5), model=model())
    buffer = acc.device.allocate(1 << 16)
    buffer[:] = 0
    acc.device.send(buffer, 800)
    acc.close()
    assert virtual.memory.allocations == 0
    assert not virtual.dma._send.active and not virtual.dma._receive.active
    acc.close()


def test_a_buffer_that_the_dma_is_reading_is_not_freed_under_it(virtual, accelerator):
    buffer = accelerator.device.allocate(1 << 16)
    accelerator.device.send(buffer)
    assert virtual.dma._send.active
    accelerator.device.release(buffer)
    assert not virtual.dma._send.active


def test_an_interrupted_run_leaves_the_next_one_right(virtual, accelerator, monkeypatch):
    network = accelerator.load(model())
    a = inputs(network, 5)

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(accelerator.device, "_finished", interrupt)
        with pytest.raises(KeyboardInterrupt):
            accelerator.run_raw(a)
    assert np.array_equal(accelerator.run_raw(a), eie.reference(network, a))


def test_results_stay_valid_when_the_board_is_used_again_or_closed(virtual):
    network = model()
    acc = eie.Accelerator(virtual.bitfile)
    a, b = inputs(network, 5), inputs(network, 5, seed=1)
    first = acc.run_raw(a, model=network)
    acc.run_raw(b, model=network)
    acc.close()
    gc.collect()
    assert np.array_equal(first, eie.reference(network, a))


def test_the_shipped_network_runs_on_the_boards_own_array_bit_for_bit(board_name):
    digits = mnist.test_digits()
    images, labels = digits.inputs()[:100], digits.labels[:100]
    with VirtualBoard(board_name) as virtual, eie.Accelerator(virtual.bitfile) as acc:
        network = acc.load(mnist.DATA / "lenet-300-100.eie")
        y = acc.run(images, verify=True)
        assert acc.config == dataclasses.replace(virtual.board.config, ultra_ram=False)  # which a host cannot tell
        assert np.mean(y.argmax(axis=1) == labels) > 0.9
        assert network.columns == 784


@pytest.mark.full
def test_ten_thousand_inferences_take_no_more_memory(virtual, accelerator):
    network = accelerator.load(model())
    a = inputs(network, 1)
    expected = eie.reference(network, a)

    def run(times):
        for _ in range(times):
            assert np.array_equal(accelerator.run_raw(a), expected)
        gc.collect()
        return resident_bytes(), virtual.memory.allocations, virtual.memory.allocated_bytes

    before, *buffers = run(2_000)
    after, *buffers_after = run(10_000)
    assert buffers_after == buffers
    assert after - before < 500_000, f"{after - before} bytes more after 10,000 inferences"


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_a_network_with_convolutions_runs_on_the_virtual_board_as_on_the_emulation(virtual):
    from eie.network.graph import Graph, Node, Value

    rng = np.random.default_rng(0)
    constants = {"w": rng.standard_normal((6, 2, 3, 3)) * 0.3, "v": rng.standard_normal((6, 5)) * 0.3}
    nodes = [
        Node("Conv", ("x", "w"), ("c",), {"pads": [1, 1, 1, 1]}, "conv"),
        Node("GlobalMaxPool", ("c",), ("p",)),
        Node("Flatten", ("p",), ("f",)),
        Node("MatMul", ("f", "v"), ("y",), {}, "last"),
    ]
    arrays = {name: array.astype(np.float32) for name, array in constants.items()}
    graph = Graph(nodes, [Value("x", "float32", ("batch", 2, 6, 6))], [Value("y")], arrays)
    x = rng.standard_normal((2, 2, 6, 6)).astype(np.float32)
    network = eie.compress(graph, 0.9, x, method="magnitude", sharing="linear")
    with eie.Accelerator(virtual.bitfile) as board:
        y = board.run(x, verify=True, model=network)
    assert np.array_equal(y, eie.reference(network, x))
