"""What the port and the memory of a board bring to its array's stream."""

import dataclasses

import pytest

from eie.boards.board import board, board_names
from eie.boards.memory_port import (
    check_stream,
    memory_port,
    port_clock_mhz,
    port_has_own_clock,
    reachable_clocks,
    supply,
    with_stream,
)
from eie.errors import ConfigError

_WIDTHS = (64, 128, 256)


def at(name, bits, clock_mhz=None):
    described = board(name)
    return with_stream(dataclasses.replace(described, clock_mhz=clock_mhz or described.clock_mhz), bits)


@pytest.mark.parametrize("name", board_names())
@pytest.mark.parametrize("bits", _WIDTHS)
def test_a_port_keeps_the_arrays_clock_where_it_is_as_wide_as_the_stream_and_else_keeps_up_within_its_limit(name, bits):
    described, port = at(name, bits), memory_port(board(name))
    clock = port_clock_mhz(described)
    assert port_has_own_clock(described) == (bits > port.bits)
    assert clock in (described.clock_mhz, *reachable_clocks(described))
    assert clock <= port.highest_mhz
    if clock * port.bits < described.clock_mhz * bits:
        assert not [c for c in reachable_clocks(described) if clock < c <= port.highest_mhz]


# A PYNQ-Z2's memory: 16 bits at 1050 million transfers a second, three quarters of which are 1575 MB/s.
@pytest.mark.parametrize(
    ("name", "bits", "clock_mhz", "bytes_per_cycle", "limit"),
    [
        ("pynq-z2", 64, 100, 8, "stream"),
        ("pynq-z2", 128, 100, 15.75, "memory"),
        ("pynq-z2", 128, 90.909, 16, "stream"),
        ("pynq-z2", 128, 200, 7.875, "memory"),
        ("kv260", 128, 125, 16, "stream"),
        ("kv260", 256, 125, 32, "stream"),
        ("kv260", 256, 250, 128 / 8 * 333.333 / 250, "port"),
        ("ultra96v2", 256, 150, 0.75 * 4264 / 150, "memory"),
    ],
)
def test_the_least_of_stream_port_and_memory_is_what_is_brought(name, bits, clock_mhz, bytes_per_cycle, limit):
    found = supply(at(name, bits, clock_mhz))
    assert found.limit == limit
    assert found.bytes_per_cycle == pytest.approx(bytes_per_cycle, rel=1e-3)


@pytest.mark.parametrize("name", board_names())
def test_a_stream_is_refused_exactly_if_half_its_width_gets_as_much(name):
    check_stream(at(name, 64))
    for bits in _WIDTHS[1:]:
        wide, narrow = supply(at(name, bits)), supply(at(name, bits // 2))
        if narrow.bytes_per_cycle < wide.bytes_per_cycle:
            check_stream(at(name, bits))
        else:
            with pytest.raises(ConfigError, match=f"use --stream-bits {bits // 2}"):
                check_stream(at(name, bits))


def test_a_memory_no_faster_than_the_narrow_stream_and_a_slow_port_are_named():
    slow = dataclasses.replace(at("pynq-z2", 128), memory_mb_per_second=1000)
    with pytest.raises(ConfigError, match=r"takes 1,600 MB/s, but the memory brings no more than 750, as to one of 64"):
        check_stream(slow)
    fast = dataclasses.replace(at("pynq-z2", 128, 250), memory_mb_per_second=9600)
    with pytest.raises(ConfigError, match=r"the port to the memory, S_AXI_HP0, brings no more than 2,000"):
        check_stream(fast)


def test_an_unknown_processing_system_is_refused_by_name():
    with pytest.raises(ConfigError, match="'versal'; it must be processing_system7 or zynq_ultra_ps_e"):
        memory_port(dataclasses.replace(board("zcu104"), processing_system="versal"))
