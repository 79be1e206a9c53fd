"""Entries come one a cycle, in order, without a gap between words or columns."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.element.sparse_matrix_read import sparse_matrix_read
from eie_hw.parts.array_interfaces import ElementLoads, Entry, QueuedColumn, share
from eie_hw.parts.interfaces import bit, vector

CONFIGS = {
    "8 a word": ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32),
    "1 a word": ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32, entries_per_word=1),
    "one word": ArrayConfig(num_pes=4, entries=16, pointers=16, rows=8, activations=32, entries_per_word=16),
    "2 a word": ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32, entries_per_word=2),
    "empty columns": ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32, skip_empty=False),
    "one bank": ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32, banks=1, index_bits=3),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("pause", [0, 0.5])
def test_entries_of_all_columns_in_order(name, pause):
    config = CONFIGS[name]
    generator = random.Random(f"{name} {pause}")
    entries = [generator.getrandbits(config.entry_bits) for _ in range(config.entries)]
    per_word, bits = config.entries_per_word, config.entry_bits
    words = [
        sum(e << bits * i for i, e in enumerate(entries[w : w + per_word])) for w in range(0, len(entries), per_word)
    ]
    columns = [
        (
            generator.randrange(config.entries),
            generator.choice((int(config.skip_empty), 1, 1, 2, 3, 11)),
            generator.randrange(8),
            number,
        )
        for number in range(40)
    ]
    expected = [
        (number, i == 0, row, entries[(start + i) % config.entries])
        for start, length, row, number in columns
        for i in range(length)
    ]
    which_bank = config.banks - 1
    reset, write, bank, valid, single, pop, busy, entry_valid, first = (bit() for _ in range(9))
    address_bits = max(1, which_bank + (config.entry_words - 1).bit_length())
    write_address, write_data = vector(address_bits), vector(config.word_bits)
    start, finish = vector(config.start_bits), vector(config.start_bits)
    row, entry_row = vector(3), vector(3)
    activation, entry_activation = vector(16), vector(16)
    code, index = vector(4), vector(config.index_bits)
    waiting = list(columns)
    seen, times = [], []

    def drive(cycle):
        bank.next = which_bank
        reset.next = cycle == 0
        write.next = cycle < len(words)
        if cycle < len(words):
            write_address.next = which_bank * len(words) + cycle
            write_data.next = words[cycle]
        if cycle < len(words) + 2:
            return
        if popped[0]:
            waiting.pop(0)
        valid.next = bool(waiting) and (generator.random() >= pause or (valid and not popped[0]))
        if waiting:
            first_entry, length, row.next, activation.next = waiting[0]
            start.next = first_entry
            finish.next = (first_entry + length) % config.entries
            single.next = length == 1

    popped = [False]

    def look(cycle):
        popped[0] = bool(pop)
        if entry_valid:
            seen.append((int(entry_activation), bool(first), int(entry_row), int(code) | int(index) << 4))
            times.append(cycle)
        else:
            assert code == 0 and index == 0 and not first
        assert busy or not waiting or not valid

    def build(clk):
        loads = share(ElementLoads(config), entry_write=write, entry_address=write_address, entry_data=write_data)
        head = share(
            QueuedColumn(config), valid=valid, start=start, finish=finish, single=single, first_row=row,
            activation=activation, pop=pop,
        )  # fmt: skip
        entry = share(
            Entry(config), valid=entry_valid, code=code, index=index, first=first, row=entry_row,
            activation=entry_activation,
        )  # fmt: skip
        return sparse_matrix_read(clk, reset, loads, bank, head, busy, entry, config)

    run_unit(build, drive, look, len(words) + 300)
    assert not waiting
    assert seen == expected
    if not pause:
        empty = sum(length == 0 for _, length, _, _ in columns)
        assert times[-1] - times[0] + 1 <= len(expected) + empty
