"""The broadcast: one non-zero activation a cycle to all PEs, its value and the pointers of its column."""

from __future__ import annotations

from myhdl import Signal, always, always_comb, block, concat, intbv, modbv

from eie.contract import pipeline
from eie.contract.config import ACTIVATION_BITS, ACTIVATIONS_PER_WORD, WORD_BITS, ArrayConfig
from eie_hw.parts.array_interfaces import ColumnBus, OperandRead, Pick
from eie_hw.parts.delay_line import delay_line
from eie_hw.parts.interfaces import ADDRESS_BITS, ActivationRead, ComputeCommand, bit, vector
from eie_hw.parts.multiplexer import multiplexer
from eie_hw.parts.word_level import word_level

WORD_LANE_BITS = (ACTIVATIONS_PER_WORD - 1).bit_length()


@block
def broadcast(
    clk,
    reset,
    pick: Pick,
    full,
    walk,
    walk_tag,
    compute: ComputeCommand,
    column: ColumnBus,
    waiting,
    broadcasting,
    read: ActivationRead,
    operands: OperandRead,
    group_address,
    words,
    config: ArrayConfig,
):
    """Broadcast non-zero activations, and serve READ through the same port of the activation memory.

    **Ports**

    ============= === =============================================================================
    pick              a non-zero activation to broadcast; `ready` is out
    full          in  some PE's queue is full, a bit for each cluster of PEs
    walk, walk_tag  in  the search for a COMPUTE begins, at least 4 cycles before its first pick, and its tag:
    compute       in  its pointer pair of column 0, first group, bank
    column        out but for `oldest`
    waiting       out in the cycle before, an activation was there and was held back
    broadcasting  out in the cycle before, an activation was taken
    read              READ's port
    operands      in  what an ELEMENTWISE reads
    group_address out to be read from the activation memory
    words         in  all its words, one cycle later
    ============= === =============================================================================

    **Timing**: a pick taken in cycle t is pushed into the queues in cycle t + `pipeline.broadcast_latency`. `full` in
    cycle t holds back picks from cycle t + 1 on. READ data come `pipeline.read_latency` cycles after
    `read.enable`. The group is read with its word 0, and its other words are kept until the next one's: no pick is
    taken in the cycle in which a group is asked of the memory.
    """
    lane_bits = (config.lanes - 1).bit_length()
    tree_bits = 2 * pipeline.lane_levels(config)
    group_bits = len(group_address)
    word_levels = pipeline.quadtree_levels(config.words_per_group)
    word_latency = pipeline.word_latency(config)
    word_bits = lane_bits - WORD_LANE_BITS
    pair_bits = (config.pointer_pairs - 1).bit_length()
    fetch_bit = ADDRESS_BITS + 8
    request_bits = fetch_bit + 2
    wanted_bits = max(1, word_bits)

    # A register that permits, not one that holds back: the nodes of the quadtree ask it one after another.
    free, taken, tag, fetch = bit(), bit(), bit(), bit()
    lanes = [vector(lane_bits) for _ in range(word_latency + 2)]
    lane = lanes[0]
    offset, offset_0, offset_1, pair, next_pair = (Signal(modbv(0)[pair_bits:]) for _ in range(5))
    bank_0, bank_1, tag_bank = bit(), bit(), bit()
    number, base = vector(ADDRESS_BITS + lane_bits), vector(ADDRESS_BITS + lane_bits)
    lookup, lookup_in_time = vector(2 * pair_bits + 4), vector(2 * pair_bits + 4)
    origin, origin_in_time = vector(2), vector(2)
    request, request_soon, request_in_time = vector(request_bits), vector(request_bits), vector(request_bits)
    fetched, keeping = vector(1), vector(1)
    kept = vector(len(words))
    wanted = vector(1 + wanted_bits)
    wants = [vector(1 + wanted_bits) for _ in range(word_latency + 1)]
    word = vector(WORD_BITS)
    value = vector(ACTIVATION_BITS)
    last_lane = vector(WORD_LANE_BITS)

    @always_comb
    def handshake():
        pick.ready.next = free
        fetch.next = read.enable and read.word == 0

    @always_comb
    def gather():
        request.next = concat(read.enable, fetch, read.group, read.word)

    delay_request = delay_line(clk, request, request_soon, pipeline.READ_DELAY - 1)
    delay_last = delay_line(clk, request_soon, request_in_time, 1)

    @always(clk.posedge)
    def take():
        free.next = full == 0 and not request_soon[fetch_bit]
        taken.next = pick.valid and free and not reset
        waiting.next = pick.valid and not free
        if operands.enable:
            group_address.next = operands.group
        elif request_in_time[fetch_bit]:
            group_address.next = request_in_time[group_bits + 8 : 8]
        else:
            group_address.next = pick.lane[tree_bits + group_bits : tree_bits]
        lane.next = pick.lane[lane_bits:]
        tag.next = pick.lane[tree_bits + group_bits]
        if pick.lane[tree_bits + group_bits]:
            offset.next = offset_1
        else:
            offset.next = offset_0

    # What a COMPUTE's columns need of it is kept until its last one: the next one is searched for meanwhile.
    @always(clk.posedge)
    def keep():
        if walk and walk_tag:
            offset_1.next = compute.pointers[pair_bits:] - base[pair_bits + 1 : 1]
            bank_1.next = compute.bank
        elif walk:
            offset_0.next = compute.pointers[pair_bits:] - base[pair_bits + 1 : 1]
            bank_0.next = compute.bank

    # The pointer pair of column j is pointers + j // 2; j counts from lane 0 of the first group.
    @always_comb
    def locate():
        broadcasting.next = taken
        number.next = concat(group_address, lane)
        base.next = concat(compute.address, intbv(0)[lane_bits:])
        pair.next = number[pair_bits + 1 : 1] + offset
        next_pair.next = pair + lane[0]
        if tag:
            tag_bank.next = bank_1
        else:
            tag_bank.next = bank_0

    @always(clk.posedge)
    def look_up():
        lookup.next = concat(tag_bank, tag, taken, lane[0], next_pair, pair)

    delay_lookup = delay_line(clk, lookup, lookup_in_time, word_latency - 1)

    @always_comb
    def pointer_ports():
        column.valid.next = lookup_in_time[2 * pair_bits + 1]
        column.odd.next = lookup_in_time[2 * pair_bits]
        origin.next = lookup_in_time[2 * pair_bits + 4 : 2 * pair_bits + 2]

    if config.banks > 1:

        @always_comb
        def pointer_addresses():
            column.even_address.next = concat(
                lookup_in_time[2 * pair_bits + 3], lookup_in_time[2 * pair_bits : pair_bits]
            )
            column.odd_address.next = concat(lookup_in_time[2 * pair_bits + 3], lookup_in_time[pair_bits:])
    else:

        @always_comb
        def pointer_addresses():
            column.even_address.next = lookup_in_time[2 * pair_bits : pair_bits]
            column.odd_address.next = lookup_in_time[pair_bits:]

    # The value follows two cycles behind its lane, through one registered 4-way level after another.
    delay_lanes = [delay_line(clk, lanes[i], lanes[i + 1], 1) for i in range(word_latency + 1)]
    levels = []
    remaining = words
    for level in range(word_levels):
        narrowed = vector(len(remaining) // 4) if len(remaining) >= 4 * WORD_BITS else vector(WORD_BITS)
        levels.append(word_level(clk, lanes[level + 1], WORD_LANE_BITS + 2 * level, remaining, narrowed))
        remaining = narrowed
    if word_latency > word_levels:
        only_word = vector(WORD_BITS)
        levels.append(delay_line(clk, remaining, only_word, word_latency - word_levels))
        remaining = only_word
    lane_in_time = lanes[word_latency + 1]

    @always_comb
    def last_level():
        word.next = remaining
        last_lane.next = lane_in_time[WORD_LANE_BITS:]

    # A READ's words leave one after another, through levels of their own.
    @always_comb
    def split_request():
        fetched.next = request_in_time[fetch_bit]
        wanted.next = concat(request_in_time[fetch_bit + 1], request_in_time[wanted_bits:])

    delay_fetch = delay_line(clk, fetched, keeping, 2)

    @always(clk.posedge)
    def keep_group():
        if keeping != 0:
            kept.next = words

    delay_wants = [delay_line(clk, wanted, wants[0], 3)]
    delay_wants += [delay_line(clk, wants[i], wants[i + 1], 1) for i in range(word_latency)]
    read_levels = []
    leaving = kept
    for level in range(word_levels):
        narrowed = vector(len(leaving) // 4) if len(leaving) >= 4 * WORD_BITS else vector(WORD_BITS)
        read_levels.append(word_level(clk, wants[level], 2 * level, leaving, narrowed))
        leaving = narrowed
    if word_latency > word_levels:
        left = vector(WORD_BITS)
        read_levels.append(delay_line(clk, leaving, left, word_latency - word_levels))
        leaving = left
    want_in_time = wants[word_latency]

    @always_comb
    def read_port():
        read.valid.next = want_in_time[wanted_bits]
        read.data.next = leaving

    choose = multiplexer(last_lane, word, value)
    delay_origin = delay_line(clk, origin, origin_in_time, pipeline.COLUMN_LATENCY)

    @always_comb
    def tell_origin():
        column.tag.next = origin_in_time[0]
        column.bank.next = origin_in_time[1]

    @always(clk.posedge)
    def deliver():
        column.activation.next = value

    return (
        handshake, gather, delay_request, delay_last, take, keep, locate, look_up, delay_lookup, pointer_ports,
        pointer_addresses, delay_lanes, levels, last_level, split_request, delay_fetch, keep_group, delay_wants,
        read_levels, read_port, choose, delay_origin, tell_origin, deliver,
    )  # fmt: skip
