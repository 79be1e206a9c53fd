"""Memories read what was written; a block memory one cycle later."""

import random

import pytest
from unit_bench import run_unit

from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.memories import block_ram, lut_ram, single_port_ram, ultra_ram


@pytest.mark.parametrize("memory", [lut_ram, block_ram, ultra_ram])
def test_a_word_reads_back_after_it_was_written(memory):
    generator = random.Random(memory.func.__name__)
    write, write_address, write_data = bit(), vector(4), vector(9)
    read_address, read_data = vector(4), vector(9)
    model, expected, seen = [0] * 16, [None], []

    def drive(cycle):
        write.next = generator.random() < 0.5
        write_address.next = generator.randrange(16)
        write_data.next = generator.getrandbits(9)
        read_address.next = generator.randrange(16)

    def look(cycle):
        collides = write and write_address == read_address
        now = model[int(read_address)]
        if memory is lut_ram:
            assert read_data == now
        elif expected[0] is not None:
            assert read_data == expected[0]
        expected[0] = None if collides else now
        seen.append(int(read_data))
        if write:
            model[int(write_address)] = int(write_data)

    run_unit(lambda clk: memory(clk, write, write_address, write_data, read_address, read_data), drive, look, 300)
    assert len(set(seen)) > 50


def test_a_single_port_memory_reads_the_word_at_its_one_address():
    generator = random.Random(1)
    write, write_data, address, read_data = bit(), vector(9), vector(4), vector(9)
    model = [0] * 16

    def drive(cycle):
        write.next = generator.random() < 0.5
        write_data.next = generator.getrandbits(9)
        address.next = generator.randrange(16)

    def look(cycle):
        assert read_data == model[int(address)]
        if write:
            model[int(address)] = int(write_data)

    run_unit(lambda clk: single_port_ram(clk, write, write_data, address, read_data), drive, look, 300)
    assert any(model)


def test_ports_of_different_width_are_refused():
    with pytest.raises(ValueError, match="disagree"):
        lut_ram(bit(), bit(), vector(4), vector(9), vector(5), vector(9))
