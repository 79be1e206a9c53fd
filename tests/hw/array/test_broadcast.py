"""A broadcast's pointers and value reach the PEs together; READ passes through the same memory port in order."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import pipeline
from eie_hw.array.broadcast import broadcast
from eie_hw.parts.array_interfaces import ColumnBus, OperandRead, Pick, share
from eie_hw.parts.interfaces import ActivationRead, ComputeCommand, bit, vector

CONFIGS = {
    "1 PE": ArrayConfig(num_pes=1, entries=64, pointers=32, rows=8, activations=32, banks=1),
    "8 PEs": ArrayConfig(num_pes=8, entries=64, pointers=64, rows=8, activations=64),
    "32 PEs": ArrayConfig(num_pes=32, entries=64, pointers=256, rows=8, activations=256),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("full_rate", [0, 0.2])
def test_every_pick_is_looked_up_and_its_value_follows_in_time(name, full_rate):
    config = CONFIGS[name]
    generator = random.Random(f"{name} {full_rate}")
    lanes, pairs, groups = config.lanes, config.pointer_pairs, config.activation_groups
    memory = [[generator.getrandbits(16) for _ in range(lanes)] for _ in range(groups)]
    group_bits, tree_bits = (groups - 1).bit_length(), 2 * pipeline.lane_levels(config)
    pair_bits = (pairs - 1).bit_length()
    reset, pick_valid, pick_ready, column_valid, column_odd, waiting, sent, enable, valid, bank = (
        bit() for _ in range(10)
    )
    operands = OperandRead(config)
    walk, walk_tag, column_tag, column_bank = (bit() for _ in range(4))
    pick, full, group_address = vector(1 + group_bits + tree_bits), vector(config.words_per_group), vector(group_bits)
    pointers, address, read_group = (vector(16) for _ in range(3))
    even, odd = (vector(pair_bits + config.banks - 1) for _ in range(2))
    activation, read_word, read_data = vector(16), vector(8), vector(64)
    words = vector(16 * lanes)
    # Of the COMPUTEs of both tags: first group, first pointer pair, bank.
    computes = [(groups // 2, 5, config.banks - 1), (groups // 4, 2, 0)]
    # Columns and reads by the cycle in which they are due.
    lookups, values, data = {}, {}, {}
    asked: list = [0]
    reading = set()  # cycles in which a READ asks the memory
    state = {"picks": 0, "reads": 0, "held": True, "taken": False, "skipped": 0, "operand": None, "operands": 0,
             "read": False, "group": 0}  # fmt: skip
    latency = pipeline.broadcast_latency(config)

    def drive(cycle):
        reset.next = cycle == 0
        walk.next = cycle in (1, 2)
        if cycle in (1, 2):
            walk_tag.next = cycle - 1
            address.next, pointers.next, bank.next = computes[cycle - 1]
        pick_valid.next = cycle > 5 and cycle % 100 < 80 and generator.random() < 0.8
        lane, tag = generator.randrange(lanes), generator.getrandbits(1)
        group = generator.randrange(computes[tag][0], groups)
        pick.next = (tag << group_bits | group) << tree_bits | lane
        full.next = generator.getrandbits(len(full)) if generator.random() < full_rate else 0
        # An ELEMENTWISE runs alone: its operands are asked for while nothing else is on its way.
        operands.enable.next = 85 < cycle % 100 < 98 and generator.random() < 0.5
        operands.group.next = generator.randrange(groups)
        enable.next = cycle > 5 and cycle % 100 < 40 and generator.random() < 0.6
        # Word 0 reads its group, and others are of the same.
        read_word.next = generator.choice((0, generator.randrange(config.words_per_group))) if state["read"] else 0
        if read_word.next == 0:
            read_group.next = generator.randrange(groups)
        state["read"] |= bool(enable.next)
        words.next = sum(v << 16 * i for i, v in enumerate(memory[asked[0]]))

    def look(cycle):
        if state["operand"] is not None:
            assert group_address == state["operand"]
            state["operands"] += 1
        state["operand"] = int(operands.group) if operands.enable else None
        assert bool(pick_ready) != (state["held"] or cycle in reading)
        state["skipped"] += cycle in reading and not state["held"]
        state["held"] = bool(full != 0)
        assert bool(sent) == (state["taken"] is True)
        assert bool(waiting) == (state["taken"] is None)
        state["taken"] = bool(pick_ready) or None if pick_valid else False
        if pick_valid and pick_ready:
            group, lane = int(pick) >> tree_bits, int(pick) & (1 << tree_bits) - 1
            tag, group = group >> group_bits, group & groups - 1
            first_group, first_pair, which_bank = computes[tag]
            column = (group - first_group) * lanes + lane
            lookups[cycle + latency - 2] = (
                column % 2, first_pair + column // 2 + column % 2, first_pair + column // 2, which_bank
            )  # fmt: skip
            values[cycle + latency] = memory[group][lane], tag, which_bank
            state["picks"] += 1
        if enable:
            group, word = int(read_group), int(read_word)
            state["group"] = group if word == 0 else state["group"]
            lanes_read = memory[state["group"]][4 * word : 4 * word + 4]
            if word == 0:
                reading.add(cycle + pipeline.READ_DELAY)
            due = cycle + pipeline.read_latency(config)
            data[due] = sum(v << 16 * i for i, v in enumerate(lanes_read))
            state["reads"] += 1
        assert bool(column_valid) == (cycle in lookups)
        if column_valid:
            is_odd, even_pair, odd_pair, which_bank = lookups[cycle]
            bank_part = which_bank << pair_bits
            assert column_odd == is_odd
            assert even == bank_part | even_pair % pairs
            assert odd == bank_part | odd_pair % pairs
        if cycle in values:
            assert (activation, column_tag, column_bank) == values[cycle]
        assert bool(valid) == (cycle in data)
        if valid:
            assert read_data == data[cycle]
        asked.append(int(group_address))
        del asked[0]

    def build(clk):
        return broadcast(
            clk,
            reset,
            share(Pick(config), valid=pick_valid, lane=pick, ready=pick_ready),
            full,
            walk,
            walk_tag,
            share(ComputeCommand(), pointers=pointers, address=address, bank=bank),
            share(
                ColumnBus(config), valid=column_valid, odd=column_odd, even_address=even, odd_address=odd,
                activation=activation, tag=column_tag, bank=column_bank,
            ),
            waiting,
            sent,
            share(ActivationRead(), enable=enable, group=read_group, word=read_word, valid=valid, data=read_data),
            operands,
            group_address,
            words,
            config,
        )  # fmt: skip

    run_unit(build, drive, look, 600)
    assert state["picks"] > 80
    assert state["reads"] > 80
    assert state["operands"] > 20
    assert state["skipped"] > 20
