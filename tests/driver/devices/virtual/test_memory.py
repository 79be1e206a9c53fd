"""Memory in two views: they meet only in flush and invalidate; buffers come and go."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eie.devices.virtual.memory import DecodeError, Memory, VirtualBoardError

PAGES = range(0x8000 + 4096, 0x8000 + (1 << 16) + 1, 4096)
"""Ends of the pages of contiguous memory."""


@pytest.fixture
def memory():
    return Memory(0x1000, 1 << 24, 0x10000, 1 << 16)


def test_the_views_meet_only_in_flush_and_invalidate(memory):
    block = memory.allocate(64)
    assert not np.array_equal(block.processor, block.fabric)
    block.processor[:] = 1
    assert not (memory.fabric_read(block.address, 64) == 1).any()
    memory.flush(block.address + 8, 16)
    assert (memory.fabric_read(block.address, 64) == 1).nonzero()[0].tolist() == list(range(8, 24))
    memory.fabric_write(block.address + 32, np.full(8, 2, np.uint8))
    assert (block.processor == 1).all()
    memory.invalidate(block.address + 32, 4)
    assert (block.processor == 2).nonzero()[0].tolist() == [32, 33, 34, 35]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 20_000), st.none()), max_size=40), st.randoms())
def test_buffers_never_overlap_and_all_memory_comes_back(requests, random):
    memory = Memory(0, 1 << 20, 0x8000, 1 << 16)
    live = []
    for nbytes in requests:
        if nbytes is None and live:
            memory.free(live.pop(random.randrange(len(live))))
        elif nbytes:
            try:
                live.append(memory.allocate(nbytes))
            except MemoryError:
                assert _largest_gap(live) < nbytes
        ranges = sorted((b.address, b.address + b.nbytes) for b in live)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(ranges))
        assert all(start >= 0x8000 and end <= 0x8000 + (1 << 16) for start, end in ranges)
        assert memory.allocations == len(live)
    for block in live:
        memory.free(block)
    assert memory.allocate(1 << 16).nbytes == 1 << 16


def _largest_gap(live):
    """The largest run of free pages of the 16, in bytes."""
    used = "".join(
        "1" if any(b.address < end and end - 4096 < b.address + b.nbytes for b in live) else "0" for end in PAGES
    )
    return 4096 * max(map(len, used.split("1")))


def test_exhausted_memory_says_what_is_left(memory):
    memory.allocate(1 << 15)
    with pytest.raises(MemoryError, match=r"no 40000 contiguous bytes are left \(CMA: 32768 bytes free\)"):
        memory.allocate(40_000)


def test_wrong_addresses_are_told_apart(memory):
    block = memory.allocate(64)
    with pytest.raises(DecodeError, match="0x00000800 lies outside the memory"):
        memory.fabric_read(0x800, 8)
    with pytest.raises(VirtualBoardError, match="not a live buffer"):
        memory.fabric_write(block.address + 8192, np.zeros(8, np.uint8))
    memory.free(block)
    with pytest.raises(VirtualBoardError, match="not a live buffer"):
        memory.fabric_read(block.address, 8)
    with pytest.raises(VirtualBoardError, match="freed twice"):
        memory.free(block)
