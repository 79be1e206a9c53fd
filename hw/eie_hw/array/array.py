"""The array: everything that executes COMPUTE and STORE and serves loads, READ and the counters."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block

from eie.contract import pipeline
from eie.contract.config import (
    ACTIVATION_BITS,
    ACTIVATIONS_PER_WORD,
    CODE_BITS,
    STREAM_BITS,
    WEIGHT_BITS,
    ArrayConfig,
)
from eie_hw.array.activation_write import activation_write
from eie_hw.array.broadcast import broadcast
from eie_hw.array.cluster import cluster
from eie_hw.array.codebook import codebook
from eie_hw.array.compute_control import compute_control
from eie_hw.array.leading_nonzero import leading_nonzero
from eie_hw.array.load_decode import load_decode
from eie_hw.array.nonzero_groups import nonzero_groups
from eie_hw.array.performance_counters import performance_counters
from eie_hw.array.store_control import store_control
from eie_hw.element.element_counters import count_bits
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import bit, vector


@block
def array(clk, reset, load, compute, store, read, counters, status, config: ArrayConfig):
    """The EIE array without its control unit.

    **Ports**: `clk`; `reset`, synchronous, active high; bundles of `eie_hw.parts.interfaces`: `load` LoadBus, `compute`
    ComputeCommand, `store` StoreCommand, `read` ActivationRead, `counters` CounterRead, `status` Status.

    **Timing**: at most one of COMPUTE and STORE is in progress, and none while `status.clearing`. Loads may come at any
    time; what was loaded in a cycle is seen by a COMPUTE, STORE or READ that starts in a later one.
    """
    pes = config.num_pes
    clusters = config.words_per_group
    group_bits = max(1, (config.activation_groups - 1).bit_length())
    row_bits = max(1, config.row_bits)
    levels = pipeline.lane_levels(config)
    leaves = 4**levels
    bank_bits = config.banks - 1
    pair_bits = bank_bits + (config.pointer_pairs - 1).bit_length()
    entry_bits = max(1, bank_bits + (config.entry_words - 1).bit_length())
    beat_bits = len(load.data)
    counter_bits = 3 * count_bits(config)

    # Loads, decoded
    pointer_write, pointer_address = vector(2 * clusters), vector(pair_bits)
    entry_write, entry_address = vector(ACTIVATIONS_PER_WORD * clusters), vector(entry_bits)
    bias_write, bias_pair, bias_load_row = vector(clusters), bit(), vector(row_bits)
    beat = vector(beat_bits)

    # Activation memory
    load_write, write_data, write_nonzero = vector(clusters), vector(STREAM_BITS), vector(ACTIVATIONS_PER_WORD)
    store_write, write_group = vector(ACTIVATIONS_PER_WORD), vector(group_bits)
    read_group = vector(group_bits)
    words = [vector(STREAM_BITS) for _ in range(clusters)]
    masks = [vector(ACTIVATIONS_PER_WORD) for _ in range(clusters)]
    nonzeros = [bit() for _ in range(clusters)]
    summary_write, summary_group, summary_nonzero = bit(), vector(group_bits), bit()

    # Broadcast
    walk, walked, finished, holding = bit(), bit(), bit(), bit()
    found_valid, found_ready, found = bit(), bit(), vector(group_bits)
    pick_valid, pick_ready, pick = bit(), bit(), vector(group_bits + 2 * levels)
    mask = vector(leaves)
    column_valid, column_odd = bit(), bit()
    even_address, odd_address = vector(pair_bits), vector(pair_bits)
    activation = vector(ACTIVATION_BITS)
    copy, copy_index, copy_weight = bit(), vector(CODE_BITS), vector(WEIGHT_BITS)
    waiting = bit()
    fulls, busys = [bit() for _ in range(clusters)], [bit() for _ in range(clusters)]
    busy = bit()

    # Outputs
    store_begin = bit()
    store_advance, store_clear = vector(ACTIVATIONS_PER_WORD), vector(ACTIVATIONS_PER_WORD)
    output_element, bias_row = vector(2), vector(row_bits)
    output_write, output_lane, output_group = bit(), vector(2), vector(group_bits)

    # Counters
    visit = vector((pes - 1).bit_length())
    all_counts = [vector(counter_bits) for _ in range(clusters)]
    counts, counters_reset = vector(counter_bits * clusters), bit()

    def gather(signals: list):
        return ConcatSignal(*reversed(signals)) if len(signals) > 1 else signals[0]

    all_words, all_masks, all_nonzeros = gather(words), gather(masks), gather(nonzeros)
    all_fulls, all_busys, counts_together = gather(fulls), gather(busys), gather(all_counts)
    full_vector, nonzero_vector, word_vector = vector(clusters), vector(clusters), vector(STREAM_BITS * clusters)

    decode = entity(
        load_decode(
            clk, load, beat, pointer_write, pointer_address, entry_write, entry_address, bias_write, bias_pair,
            bias_load_row, config,
        )
    )  # fmt: skip

    control = entity(
        compute_control(clk, reset, compute.start, compute.done, walk, walked, busy, status.computing, config)
    )
    books = entity(
        codebook(
            clk, reset, load.codebook_write, load.slot, load.address, load.data, compute.start, compute.slot,
            copy, copy_index, copy_weight, config,
        )
    )  # fmt: skip
    groups = entity(
        nonzero_groups(
            clk, reset, summary_write, summary_group, summary_nonzero, walk, compute.address, compute.count,
            found_valid, found, found_ready, finished, config,
        )
    )  # fmt: skip

    @always_comb
    def pad():
        mask.next = all_masks

    lanes = entity(
        leading_nonzero(clk, reset, found_valid, mask, found, found_ready, pick_valid, pick, pick_ready, holding)
    )

    @always_comb
    def join():
        walked.next = finished and not holding
        full_vector.next = all_fulls
        nonzero_vector.next = all_nonzeros
        word_vector.next = all_words
        counts.next = counts_together

    sender = entity(
        broadcast(
            clk, reset, pick_valid, pick, pick_ready, full_vector, compute.pointers, compute.address, compute.bank,
            column_valid, column_odd, even_address, odd_address, activation, waiting, status.broadcast,
            read.enable, read.group, read.word, read.valid, read.data, read_group, word_vector, config,
        )
    )  # fmt: skip

    stores = entity(
        store_control(
            clk, reset, store.start, store.done, store.bias, store.address, store.count, load.activation_write,
            status.clearing, store_begin, store_advance, store_clear, output_element, bias_row,
            output_write, output_lane, output_group, config,
        )
    )  # fmt: skip
    writer = entity(
        activation_write(
            clk, load.activation_write, load.address, load.pe, load.data, output_write, output_lane, output_group,
            nonzero_vector, load_write, write_data, write_nonzero, store_write, write_group,
            summary_write, summary_group, summary_nonzero, config,
        )
    )  # fmt: skip

    members = [
        entity(
            cluster(
                clk, reset,
                pointer_write(2 * i + 2, 2 * i), pointer_address,
                entry_write(ACTIVATIONS_PER_WORD * (i + 1), ACTIVATIONS_PER_WORD * i), entry_address,
                bias_write(i), bias_pair, bias_load_row, beat, copy, copy_index, copy_weight,
                compute.bank, column_valid, column_odd, even_address, odd_address, activation,
                store_begin, store_advance, store_clear, output_element, bias_row, store.shift, store.relu,
                load_write(i), write_data, write_nonzero, store_write, write_group, nonzeros[i],
                read_group, words[i], found, masks[i], waiting, fulls[i], busys[i], visit, all_counts[i],
                counters_reset, config,
            )
        )
        for i in range(clusters)
    ]  # fmt: skip

    totals = entity(
        performance_counters(
            clk, counters_reset, status.computing, visit, counts,
            counters.enable, counters.pe, counters.select, counters.ready, counters.value, config,
        )
    )  # fmt: skip

    @always(clk.posedge)
    def collect():
        busy.next = all_busys != 0
        counters_reset.next = reset or counters.clear

    return decode, control, books, groups, pad, lanes, join, sender, stores, writer, members, totals, collect
