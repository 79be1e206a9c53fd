"""The writer of the activation memory: every group and output written once, in its place, and groups summed up."""

import random

from unit_bench import run_unit

from eie.contract.config import ACTIVATIONS_PER_WORD, WORD_BITS, ArrayConfig
from eie.contract.pipeline import STORE_WRITE
from eie_hw.array.activation_write import activation_write
from eie_hw.parts.array_interfaces import ActivationWrite, GroupSummary, OutputStep, share
from eie_hw.parts.interfaces import LoadBus, bit, vector

CONFIG = ArrayConfig(num_pes=16, activations=512)
WORDS = CONFIG.words_per_group
GROUPS = CONFIG.activation_groups
CYCLES = 3000


def sequence(generator, length):
    """Parts 0 to length - 1 of one random group after another."""
    while True:
        group = generator.randrange(GROUPS)
        for part in range(length):
            yield group, part


def test_loads_and_outputs_are_written_in_their_places_and_summed_up():
    generator = random.Random(5)
    loads, steps = sequence(generator, WORDS), sequence(generator, ACTIVATIONS_PER_WORD)
    group_bits = (GROUPS - 1).bit_length()
    load, store, summary_write, summary_nonzero = (bit() for _ in range(4))
    load_group, store_group, write_group, summary_group = (vector(group_bits) for _ in range(4))
    load_word, store_lane = vector(2), vector(2)
    load_data, write_data = vector(WORD_BITS), vector(WORD_BITS)
    nonzero, load_keep, load_write = vector(WORDS), vector(WORDS), bit()
    write_nonzero, store_write = vector(ACTIVATIONS_PER_WORD), vector(ACTIVATIONS_PER_WORD)
    kept, written, summed = {}, {}, {}  # what is due in which cycle
    stores, answers = {}, {}
    anything = {"store": False}
    masks = [0] * WORDS
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
            group, word = next(loads)
            values = [generator.choice((0, 0, 0, 1, 0x8000)) for _ in range(ACTIVATIONS_PER_WORD)]
            data = sum(value << 16 * lane for lane, value in enumerate(values))
            load.next, load_group.next, load_word.next, load_data.next = True, group, word, data
            mask = sum((value != 0) << lane for lane, value in enumerate(values))
            kept[cycle + STORE_WRITE] = (word, data, mask)
            masks[word] = mask
            if word == WORDS - 1:
                found = sum((mask != 0) << i for i, mask in enumerate(masks))
                stores[cycle + STORE_WRITE] = ("load", group, word, found)
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
        word, *content = kept.pop(cycle, (None, 0, 0))
        if cycle > STORE_WRITE:
            assert load_keep == (0 if word is None else 1 << word)
            assert bool(load_write) == (kind == "load")
            assert store_write == ((kind == "store") << part)
        if kind:
            assert write_group == group
            seen[kind] += 1
        if word is not None:
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
            share(LoadBus(CONFIG), activation_write=load, address=load_group, pe=load_word, data=load_data),
            share(OutputStep(CONFIG), write=store, lane=store_lane, group=store_group),
            nonzero,
            share(
                ActivationWrite(CONFIG, WORDS), keep=load_keep, load=load_write, data=write_data,
                nonzero=write_nonzero, store=store_write, group=write_group,
            ),
            share(GroupSummary(CONFIG), write=summary_write, group=summary_group, nonzero=summary_nonzero),
            CONFIG,
        )  # fmt: skip

    run_unit(build, drive, look, CYCLES)
    assert min(seen.values()) > 100
