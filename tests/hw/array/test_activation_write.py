"""The writer of the activation memory: every group and output written once, in its place, and groups summed up."""

import random

import pytest
from unit_bench import run_unit

from eie.contract.config import ACTIVATIONS_PER_WORD, ArrayConfig
from eie.contract.pipeline import STORE_WRITE
from eie_hw.array.activation_write import activation_write
from eie_hw.parts.array_interfaces import ActivationWrite, GroupSummary, OutputStep, share
from eie_hw.parts.interfaces import LoadBus, bit, vector

CONFIGS = {
    64: ArrayConfig(num_pes=16, activations=512),
    128: ArrayConfig(num_pes=32, activations=1024, stream_bits=128),
    256: ArrayConfig(num_pes=64, activations=2048, stream_bits=256),
}
CYCLES = 3000


def sequence(generator, groups, length):
    """Parts 0 to length - 1 of one random group after another."""
    while True:
        group = generator.randrange(groups)
        for part in range(length):
            yield group, part


@pytest.mark.parametrize("stream_bits", CONFIGS)
def test_loads_and_outputs_are_written_in_their_places_and_summed_up(stream_bits):
    config = CONFIGS[stream_bits]
    words, together, groups = config.words_per_group, config.flit_words, config.activation_groups
    parts, lanes = words // together, together * ACTIVATIONS_PER_WORD
    generator = random.Random(5)
    loads, steps = sequence(generator, groups, parts), sequence(generator, groups, ACTIVATIONS_PER_WORD)
    group_bits = (groups - 1).bit_length()
    load, store, summary_write, summary_nonzero = (bit() for _ in range(4))
    load_group, store_group, write_group, summary_group = (vector(group_bits) for _ in range(4))
    load_part, store_lane = vector(2), vector(2)
    load_data, write_data = vector(stream_bits), vector(stream_bits)
    nonzero, load_keep, load_write = vector(words), vector(words), bit()
    write_nonzero, store_write = vector(lanes), vector(ACTIVATIONS_PER_WORD)
    kept, written, summed = {}, {}, {}  # what is due in which cycle
    stores, answers = {}, {}
    anything = {"store": False}
    masks = [0] * parts
    seen = {"load": 0, "store": 0, "zero": 0}

    def expect(kind, cycle, group, part, bits):
        written[cycle] = (kind, group, part)
        answers[cycle + 1] = bits
        if kind == "store":
            anything[kind] = bits != 0 or (part > 0 and anything[kind])
        summed[cycle + 2] = (group, anything[kind] if kind == "store" else bits != 0)

    def drive(cycle):
        load.next = store.next = False
        choice = generator.random()
        if choice < 0.6:
            group, part = next(loads)
            values = [generator.choice((0, 0, 0, 1, 0x8000)) for _ in range(lanes)]
            data = sum(value << 16 * lane for lane, value in enumerate(values))
            load.next, load_group.next, load_part.next, load_data.next = True, group, part, data
            mask = sum((value != 0) << lane for lane, value in enumerate(values))
            kept[cycle + STORE_WRITE] = (part, data, mask)
            masks[part] = mask
            if part == parts - 1:
                every = sum(mask << lanes * i for i, mask in enumerate(masks))
                found = sum((every >> 4 * i & 15 != 0) << i for i in range(words))
                stores[cycle + STORE_WRITE] = ("load", group, part, found)
        if choice > 0.4 and cycle + STORE_WRITE not in stores:
            # A step, never with the last word of a group: its outputs are there STORE_WRITE cycles later, a lane of
            # each word.
            stores[cycle + STORE_WRITE] = ("store", *next(steps), generator.choice((0, 0, 0b0100, 0b1001)))
        kind, group, part, value = stores.pop(cycle, (None, 0, 0, 0))
        if kind == "store":
            store.next, store_group.next, store_lane.next = True, group, part
        if kind:
            expect(kind, cycle + 1, group, part, value)
        nonzero.next = answers.pop(cycle, 0)

    def look(cycle):
        kind, group, part = written.pop(cycle, (None, 0, 0))
        kept_part, *content = kept.pop(cycle, (None, 0, 0))
        if cycle > STORE_WRITE:
            assert load_keep == (0 if kept_part is None else (1 << together) - 1 << together * kept_part)
            assert bool(load_write) == (kind == "load")
            assert store_write == ((kind == "store") << part)
        if kind:
            assert write_group == group
            seen[kind] += 1
        if kept_part is not None:
            assert [write_data, write_nonzero] == content
        due = summed.pop(cycle, None)
        if cycle > STORE_WRITE + 3:
            assert bool(summary_write) == (due is not None)
        if due:
            assert (summary_group, bool(summary_nonzero)) == due
            seen["zero"] += not due[1]

    def build(clk):
        return activation_write(
            clk,
            share(LoadBus(config), activation_write=load, address=load_group, pe=load_part, data=load_data),
            share(OutputStep(config), write=store, lane=store_lane, group=store_group),
            nonzero,
            share(
                ActivationWrite(config, words), keep=load_keep, load=load_write, data=write_data,
                nonzero=write_nonzero, store=store_write, group=write_group,
            ),
            share(GroupSummary(config), write=summary_write, group=summary_group, nonzero=summary_nonzero),
            config,
        )  # fmt: skip

    run_unit(build, drive, look, CYCLES)
    assert min(seen.values()) > 100
