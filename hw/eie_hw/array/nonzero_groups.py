"""Which activation groups hold a non-zero: kept as the groups are written, walked ahead of the broadcast."""

from __future__ import annotations

from myhdl import ConcatSignal, Signal, always, always_comb, block, concat, modbv

from eie.contract import pipeline
from eie.contract.config import ArrayConfig
from eie_hw.array.leading_nonzero import leading_nonzero
from eie_hw.parts.array_interfaces import GroupSummary
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import ADDRESS_BITS, ComputeCommand, bit, vector
from eie_hw.parts.memories import lut_ram
from eie_hw.parts.register_slice import register_slice

CHUNK = pipeline.GROUPS_AT_ONCE
_CHUNK_BITS = CHUNK.bit_length() - 1


@block
def nonzero_groups(
    clk,
    reset,
    summary: GroupSummary,
    start,
    tag,
    compute: ComputeCommand,
    ready,
    group_valid,
    found_group,
    group_ready,
    oldest,
    searching,
    config: ArrayConfig,
):
    """Walk the groups with a non-zero activation among `count` groups from `address`.

    **Ports**

    =========== === ==============================================================
    summary     in  a group has a non-zero activation, or has none
    start, tag  in  one cycle, while `ready`: walk for the COMPUTE of that tag
    compute     in  its first group, as `address`, and `count`
    ready       out the walk before has looked at all its groups; what it found may still wait
    group_valid out a group is offered
    found_group out its number, and above it its walk's tag
    group_ready in  it is taken
    oldest      in  a tag
    searching   out a group with that tag is offered, or may still be
    =========== === ==============================================================

    **Timing**: `start` in cycle t looks at the first 16 groups (those with the same number // 16) in cycle t + 2 and
    offers the first group in cycle t + 5; then one a cycle. 16 groups without a non-zero cost one cycle. `ready` comes
    in the cycle after the last of them was looked at.
    """
    chunks = max(2, config.activation_groups // CHUNK)
    chunk_bits = (chunks - 1).bit_length()
    group_bits = max(1, (config.activation_groups - 1).bit_length())

    strobes = [bit() for _ in range(CHUNK)]
    write_chunk = vector(chunk_bits)
    write_bit, chunk_words = vector(1), [vector(1) for _ in range(CHUNK)]
    nonzeros = ConcatSignal(*reversed(chunk_words))
    chunk = Signal(modbv(0)[chunk_bits:])
    low, high, window = vector(CHUNK), vector(CHUNK), vector(CHUNK)
    low_next, high_next = vector(CHUNK), vector(CHUNK)
    last_group = vector(ADDRESS_BITS + 1)
    last_chunk = vector(chunk_bits)
    starting, scanning, scan_tag, first = bit(), bit(), bit(), bit()
    window_ready = bit()
    tagged_chunk = vector(1 + chunk_bits)
    found_valid, found_ready, holding = bit(), bit(), bit()
    found, offered = vector(1 + chunk_bits + _CHUNK_BITS), vector(1 + group_bits)
    found_top = chunk_bits + _CHUNK_BITS
    write_position = vector(chunk_bits + _CHUNK_BITS)
    first_position, last_position = vector(ADDRESS_BITS + 1), vector(ADDRESS_BITS + 1)

    @always_comb
    def aim():
        write_position.next = summary.group
        first_position.next = compute.address
        last_position.next = last_group

    @always_comb
    def spread():
        write_chunk.next = write_position[chunk_bits + _CHUNK_BITS : _CHUNK_BITS]
        write_bit.next = summary.nonzero

    memories = [
        summary_bit(clk, summary.write, write_position, write_chunk, write_bit, chunk, chunk_words[i], strobes[i], i)
        for i in range(CHUNK)
    ]

    @always_comb
    def bounds():
        for i in range(CHUNK):
            low_next.next[i] = first_position[_CHUNK_BITS:] <= i
            high_next.next[i] = last_position[_CHUNK_BITS:] >= i

    @always_comb
    def limit():
        for i in range(CHUNK):
            window.next[i] = nonzeros[i] and (low[i] or not first) and (high[i] or chunk != last_chunk)

    @always(clk.posedge)
    def scan():
        if reset:
            starting.next = False
            scanning.next = False
        else:
            starting.next = start
            if starting:
                scanning.next = True
            elif scanning and window_ready and chunk == last_chunk:
                scanning.next = False
        if start:
            scan_tag.next = tag
            last_group.next = compute.address + compute.count - 1
            low.next = low_next
            first.next = True
            chunk.next = first_position[chunk_bits + _CHUNK_BITS : _CHUNK_BITS]
        elif scanning and window_ready:
            first.next = False
            chunk.next = chunk + 1
        if starting:
            high.next = high_next
            last_chunk.next = last_position[chunk_bits + _CHUNK_BITS : _CHUNK_BITS]

    walk = entity(
        leading_nonzero(
            clk, reset, scanning, window, tagged_chunk, window_ready, found_valid, found, found_ready, oldest, holding
        )
    )

    @always_comb
    def offer():
        tagged_chunk.next = concat(scan_tag, chunk)
        offered.next = concat(found[found_top], found[group_bits:])
        ready.next = not (start or starting or scanning)
        # Of the two groups in the slice, the one offered is the older.
        searching.next = (
            (start and tag == oldest)
            or ((starting or scanning) and scan_tag == oldest)
            or holding
            or (group_valid and found_group[group_bits] == oldest)
        )

    # This tree and the one over the lanes would otherwise wait for each other in one cycle.
    between = register_slice(clk, reset, found_valid, offered, found_ready, group_valid, found_group, group_ready)

    return aim, spread, memories, bounds, limit, scan, walk, offer, between


@block
def summary_bit(clk, write, position, write_chunk, write_bit, chunk, word, strobe, number):
    """Hold one bit of every chunk."""

    @always_comb
    def choose():
        strobe.next = write and position[_CHUNK_BITS:] == number

    return choose, lut_ram(clk, strobe, write_chunk, write_bit, chunk, word)
