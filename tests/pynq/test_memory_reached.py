"""A buffer that the DMA cannot reach is refused before anything is sent from it."""

import dataclasses

import pytest

import eie
from eie.boards.board import board
from eie.devices.virtual import VirtualBoard
from eie.errors import DeviceError
from tests.pynq.networks import CONFIG, inputs, model

SMALL = 1 << 20


def refused(virtual):
    with eie.Accelerator(virtual.bitfile) as accelerator, pytest.raises(DeviceError) as caught:
        accelerator.load(model())
    assert virtual.memory.allocations == 0, "the buffer is freed"
    return str(caught.value)


def test_contiguous_memory_beyond_what_the_dma_reaches_is_refused_with_both_addresses(small_board):
    end = small_board.memory_base + small_board.memory_bytes
    with VirtualBoard(small_board, cma_base=end, cma_bytes=SMALL) as virtual:
        text = refused(virtual)
    assert f"was allocated at 0x{end:08x}, but the overlay's DMA reaches 0x00000000 to 0x{end - 1:08x} only" in text
    assert "cma=512M@0-2G in the boot arguments" in text


def test_a_buffer_that_only_begins_in_reach_is_refused(small_board):
    end = small_board.memory_base + small_board.memory_bytes
    with VirtualBoard(small_board, cma_base=end - 4096, cma_bytes=SMALL) as virtual:
        assert f"was allocated at 0x{end - 4096:08x}" in refused(virtual)


def test_memory_up_to_the_last_byte_in_reach_is_used(small_board):
    end = small_board.memory_base + small_board.memory_bytes
    with VirtualBoard(small_board, cma_base=end - SMALL, cma_bytes=SMALL) as virtual:
        network = model()
        with eie.Accelerator(virtual.bitfile) as accelerator:
            accelerator.run_raw(inputs(network, 5), verify=True, model=network)


def test_what_the_dma_reaches_is_what_the_boards_file_says(board_name):
    described = board(board_name)
    with VirtualBoard(dataclasses.replace(described, config=CONFIG)) as virtual:
        device = eie.PynqDevice(virtual.bitfile)
        assert device._memory == (range(described.memory_base, described.memory_base + described.memory_bytes),)
        device.close()
