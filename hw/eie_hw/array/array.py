"""The array: everything that executes COMPUTE and STORE and serves loads, READ and the counters."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block
from myhdl._Signal import _Signal

from eie.contract.config import ACTIVATIONS_PER_WORD, LENGTHS_PER_WORD, SCALE_BITS, WORD_BITS, ArrayConfig
from eie_hw.array.accumulator_parts import accumulator_parts
from eie_hw.array.activation_write import activation_write
from eie_hw.array.broadcast import broadcast
from eie_hw.array.cluster import cluster
from eie_hw.array.codebook import codebook
from eie_hw.array.compute_control import compute_control
from eie_hw.array.format_register import format_register
from eie_hw.array.leading_nonzero import leading_nonzero
from eie_hw.array.load_decode import load_decode
from eie_hw.array.nonzero_groups import nonzero_groups
from eie_hw.array.performance_counters import performance_counters
from eie_hw.array.pointer_loads import pointer_loads
from eie_hw.array.row_scales import row_scales
from eie_hw.array.saturation_count import saturation_count
from eie_hw.array.store_control import store_control
from eie_hw.element.element_counters import count_bits
from eie_hw.parts.array_interfaces import (
    AccumulatorParts,
    AccumulatorSteps,
    ActivationPort,
    ActivationWrite,
    CodebookCopy,
    ColumnBus,
    CounterControl,
    GroupSummary,
    OperandRead,
    OutputFormat,
    OutputSelect,
    OutputStep,
    Pick,
    group_address_bits,
    share,
)
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.load_interfaces import ClusterLoads, ScaleLoad


@block
def array(clk, reset, load, compute, store, form, element, read, counters, status, config: ArrayConfig):
    """The EIE array without its control unit.

    **Ports**: `clk`; `reset`, synchronous, active high; bundles of `eie_hw.parts.interfaces`: `load` LoadBus, `compute`
    ComputeCommand, `store` StoreCommand, `form` FormatCommand, `element` ElementwiseCommand, `read` ActivationRead,
    `counters` CounterRead, `status` Status.

    **Timing**: two COMPUTEs, a STORE and a READ may be in progress, or an ELEMENTWISE alone, and none while
    `status.clearing`. What they read and write of activations and accumulators is apart. Loads may come at any time;
    what was loaded in a cycle is seen by an instruction that starts in a later one.
    """
    clusters, together = config.words_per_group, config.flit_words
    group_bits = group_address_bits(config)
    counter_bits = 3 * count_bits(config)

    loads = ClusterLoads(config, clusters)
    arriving = loads.data(together * WORD_BITS, 0)
    scale_loads = share(ScaleLoad(config, config.scale_memories), data=arriving)

    # Activation memory
    write = ActivationWrite(config, clusters)
    read_group = vector(group_bits)
    words = [vector(WORD_BITS) for _ in range(clusters)]
    masks = [vector(ACTIVATIONS_PER_WORD) for _ in range(clusters)]
    nonzeros = [bit() for _ in range(clusters)]
    summary = GroupSummary(config)

    # Broadcast
    walk, walker_ready, searching_groups, holding, searching = (bit() for _ in range(5))
    found_valid, found_ready, found = bit(), bit(), vector(1 + group_bits)
    pick = Pick(config)
    mask, found_group = vector(config.lanes), vector(group_bits)
    column, weights, parts = ColumnBus(config), CodebookCopy(), AccumulatorParts()
    fulls, busys = [bit() for _ in range(clusters)], [bit() for _ in range(clusters)]
    busy = bit()
    lost = [bit() for _ in range(clusters)]

    # Outputs
    steps, select = AccumulatorSteps(config, ACTIVATIONS_PER_WORD), OutputSelect(config)
    output, output_step = OutputFormat(), OutputStep(config)
    scales = [vector(SCALE_BITS * config.scale_clusters) for _ in range(config.scale_memories)]
    elementwise, operands = bit(), OperandRead(config)

    # Counters
    events, visit = CounterControl(), vector((config.num_pes - 1).bit_length())
    all_counts = [vector(counter_bits) for _ in range(clusters)]
    counts = vector(counter_bits * clusters)

    def part(whole: _Signal, number: int, bits: int):
        """Return a part of a vector; after the last one they begin anew."""
        number %= len(whole) // bits
        return whole((number + 1) * bits, number * bits)

    def gather(signals: list):
        return ConcatSignal(*reversed(signals)) if len(signals) > 1 else signals[0]

    all_words, all_masks, all_nonzeros = gather(words), gather(masks), gather(nonzeros)
    all_fulls, all_busys, counts_together = gather(fulls), gather(busys), gather(all_counts)
    all_lost, lost_vector = gather(lost), vector(clusters)
    full_vector, nonzero_vector, word_vector = vector(clusters), vector(clusters), vector(WORD_BITS * clusters)

    decode = entity(
        load_decode(
            clk, load, loads.data, loads.pointer_write, loads.pointer_address, loads.entry_write, loads.entry_address,
            loads.bias_write, loads.bias_pair, loads.bias_row, scale_loads, config,
        )
    )  # fmt: skip

    pointers = vector(together * LENGTHS_PER_WORD * config.pointer_bits)
    pointers_of_cluster = 2 * ACTIVATIONS_PER_WORD * config.pointer_bits
    pointing = entity(pointer_loads(clk, load, pointers, config))

    control = entity(
        compute_control(
            clk, reset, compute, walk, weights.tag, walker_ready, column, searching, busy, status, config,
        )
    )  # fmt: skip
    parting = entity(accumulator_parts(clk, walk, weights.tag, compute.part, parts, config))
    books = entity(
        codebook(
            clk, reset, load.codebook_write, load.slot, load.address, load.data, compute.start, compute.slot,
            weights.write, weights.index, weights.weight, config,
        )
    )  # fmt: skip
    groups = entity(
        nonzero_groups(
            clk, reset, summary, walk, weights.tag, compute, walker_ready, found_valid, found, found_ready,
            column.oldest, searching_groups, config,
        )
    )  # fmt: skip

    @always_comb
    def pad():
        mask.next = all_masks
        found_group.next = found[group_bits:]

    lanes = entity(
        leading_nonzero(
            clk, reset, found_valid, mask, found, found_ready, pick.valid, pick.lane, pick.ready, column.oldest, holding
        )
    )

    @always_comb
    def assemble():
        searching.next = searching_groups or holding
        full_vector.next = all_fulls
        nonzero_vector.next = all_nonzeros
        lost_vector.next = all_lost
        word_vector.next = all_words
        counts.next = counts_together

    sender = entity(
        broadcast(
            clk, reset, pick, full_vector, walk, weights.tag, compute, column, events.waiting, status.broadcast, read,
            operands, read_group, word_vector, config,
        )
    )  # fmt: skip

    stores = entity(
        store_control(
            clk, reset, store, element, load.group_end, status.clearing, elementwise, operands, steps, select,
            output_step, config,
        )
    )  # fmt: skip
    formats = entity(format_register(clk, reset, form, store, element, elementwise, output))
    losses = entity(saturation_count(clk, output_step.write, output, lost_vector, status.saturated, config))
    writer = entity(activation_write(clk, load, output_step, nonzero_vector, write, summary, config))

    cluster_loads = [
        share(
            loads,
            pointer_write=loads.pointer_write(2 * i + 2, 2 * i),
            entry_write=loads.entry_write(ACTIVATIONS_PER_WORD * (i + 1), ACTIVATIONS_PER_WORD * i),
            pointer_data=part(pointers, i, pointers_of_cluster),
            word=part(arriving, i, WORD_BITS),
            bias_write=loads.bias_write(i),
        )
        for i in range(clusters)
    ]
    ports = [
        share(
            ActivationPort(config),
            read_group=read_group, word=words[i], mask_group=found_group, mask=masks[i], nonzero=nonzeros[i],
        )
        for i in range(clusters)
    ]  # fmt: skip
    scaling = [
        entity(
            row_scales(
                clk, share(scale_loads, write=scale_loads.write(i), data=part(arriving, i, WORD_BITS)), select, memory,
                config,
            )
        )
        for i, memory in enumerate(scales)
    ]  # fmt: skip
    cluster_scales = [
        memory(SCALE_BITS * (i + 1), SCALE_BITS * i) for memory in scales for i in range(config.scale_clusters)
    ]
    cluster_writes = [
        share(
            write,
            keep=write.keep(i),
            data=part(write.data, i, WORD_BITS),
            nonzero=part(write.nonzero, i, ACTIVATIONS_PER_WORD),
        )
        for i in range(clusters)
    ]
    members = [
        entity(
            cluster(
                clk, reset, cluster_loads[i], weights, column, parts, steps, select, cluster_scales[i], output,
                cluster_writes[i], ports[i], events, visit, fulls[i], busys[i], lost[i],
                all_counts[i], config,
            )
        )
        for i in range(clusters)
    ]  # fmt: skip

    totals = entity(
        performance_counters(
            clk, events.reset, status.computing, visit, counts,
            counters.enable, counters.pe, counters.select, counters.ready, counters.value, config,
        )
    )  # fmt: skip

    @always(clk.posedge)
    def collect():
        busy.next = all_busys != 0
        events.reset.next = reset or counters.clear

    return (
        decode, pointing, control, parting, books, groups, pad, lanes, assemble, sender, stores, formats, losses,
        writer, scaling, members, totals, collect,
    )  # fmt: skip
