"""The board descriptions: complete, consistent, refused by name."""

import pytest

from eie.boards import board, board_names
from eie.errors import ConfigError


def test_the_four_boards_are_there():
    assert board_names() == ("kv260", "pynq-z1", "pynq-z2", "zcu104")


@pytest.mark.parametrize("name", board_names())
def test_a_board_has_room_for_its_registers_and_an_array_that_can_be_built(name):
    described = board(name)
    assert described.config.num_pes in (64, 128)
    assert abs(described.dma_address - described.array_address) >= 0x10000
    assert described.dma_data_bits == 64
    assert described.memory_bytes >= 512 << 20


def test_an_unknown_board_is_refused_with_the_names_there_are():
    with pytest.raises(ConfigError, match=r"no board 'pynq'; the boards are kv260, pynq-z1"):
        board("pynq")
