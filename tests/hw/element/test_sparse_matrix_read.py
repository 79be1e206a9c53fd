"""Entries come one a cycle, in order, without a gap between words or columns."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie_hw.element.sparse_matrix_read import sparse_matrix_read
from eie_hw.parts.array_interfaces import Entry, QueuedColumn, share
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.load_interfaces import ElementLoads

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
            number // 20,
        )
        for number in range(40)
    ]
    expected = [
        (number, i == 0, row, entries[(start + i) % config.entries], tag)
        for start, length, row, number, tag in columns
        for i in range(length)
    ]
    which_bank = config.banks - 1
    reset, write, bank, valid, swapped, pop, busy, entry_valid, first = (bit() for _ in range(9))
    hold, oldest, tag, entry_tag = (bit() for _ in range(4))
    address_bits = max(1, which_bank + (config.entry_words - 1).bit_length())
    write_address, write_data = vector(address_bits), vector(config.word_bits)
    even, odd = vector(config.start_bits), vector(config.start_bits)
    row, entry_row = vector(3), vector(3)
    activation, entry_activation = vector(16), vector(16)
    code, index = vector(4), vector(config.index_bits)
    waiting = list(columns)
    seen, times, held, busy_cycles = [], [], [], []

    def drive(cycle):
        bank.next = which_bank
        hold.next = pause and generator.random() < 0.3
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
            first_entry, length, row.next, number, tag.next = waiting[0]
            activation.next = number
            pointers = first_entry, (first_entry + length) % config.entries
            swapped.next = number % 2
            even.next, odd.next = pointers[::-1] if number % 2 else pointers

    popped = [False]

    def look(cycle):
        popped[0] = bool(pop)
        held.append(bool(hold))
        assert not (hold and pop)
        if entry_valid:
            assert not held[-3], "issued while held"
            content = int(code) | int(index) << 4
            seen.append((int(entry_activation), bool(first), int(entry_row), content, bool(entry_tag)))
            times.append(cycle)
        else:
            assert code == 0 and index == 0 and not first
        # Columns of the older COMPUTE come first: of that the unit is busy until its last entry is issued.
        if valid and tag == oldest:
            assert busy
        busy_cycles.extend([cycle] * bool(busy))

    def build(clk):
        loads = share(ElementLoads(config), entry_write=write, entry_address=write_address, entry_data=write_data)
        head = share(
            QueuedColumn(config), valid=valid, even=even, odd=odd, swapped=swapped, first_row=row,
            activation=activation, tag=tag, bank=bank, pop=pop,
        )  # fmt: skip
        entry = share(
            Entry(config), valid=entry_valid, code=code, index=index, first=first, row=entry_row,
            activation=entry_activation, tag=entry_tag,
        )  # fmt: skip
        return sparse_matrix_read(clk, reset, loads, hold, oldest, head, busy, entry, config)

    run_unit(build, drive, look, len(words) + 300)
    assert not waiting
    assert seen == expected
    # `oldest` stands at the first COMPUTE all the time; an entry is there two cycles after its issue.
    last = max((t for t, e in zip(times, seen, strict=True) if not e[4]), default=0)
    assert last - 2 <= max(busy_cycles) <= last + 1
    if not pause:
        empty = sum(length == 0 for _, length, _, _, _ in columns)
        assert times[-1] - times[0] + 1 <= len(expected) + empty
