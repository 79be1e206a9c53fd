"""A PE multiplies columns with its rows; its queue takes whatever arrives before a hold can take effect."""

import random
from dataclasses import replace

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import pipeline
from eie_hw.element.element_counters import count_bits
from eie_hw.element.processing_element import processing_element
from eie_hw.parts.array_interfaces import AccumulatorParts, AccumulatorSteps, CodebookCopy, ColumnBus, CounterControl
from eie_hw.parts.interfaces import bit, vector
from eie_hw.parts.load_interfaces import ElementLoads

BASE = ArrayConfig(num_pes=4, entries=64, pointers=32, rows=8, activations=32, queue_depth=1)
CONFIGS = {
    "default": BASE,
    "as in the paper": replace(BASE, index_bits=4, first_row=False, skip_empty=False, queue_depth=2),
}
COLUMNS = 12


class Element:
    """A PE's ports, memories with random contents, and the sums that they should give."""

    def __init__(self, config, seed):
        self.config = config
        self.generator = generator = random.Random(seed)
        self.lengths = [generator.choice((0, 0, 1, 2, 3, 7)) for _ in range(COLUMNS)]
        start = generator.randrange(config.entries)
        self.starts = [(start + sum(self.lengths[:j])) % config.entries for j in range(COLUMNS + 1)]
        self.rows = [generator.randrange(config.rows) if config.first_row else 0 for _ in self.starts]
        self.entries = [generator.getrandbits(config.entry_bits) for _ in range(config.entries)]
        self.weights = [0] + [generator.randint(-32768, 32767) for _ in range(15)]
        self.sums = [0] * config.rows
        self.loads, self.codebook, self.column = ElementLoads(config), CodebookCopy(), ColumnBus(config)
        self.steps, self.parts, self.counters = AccumulatorSteps(config), AccumulatorParts(), CounterControl()
        self.reset, self.full, self.busy = bit(), bit(), bit()
        self.accumulator, self.counts = vector(48), vector(3 * count_bits(config))

    def build(self, clk):
        self.unit = processing_element(
            clk, self.reset, self.loads, self.codebook, self.column, self.parts, self.steps, self.counters,
            self.full, self.busy, self.accumulator, self.counts, self.config,
        )  # fmt: skip
        return self.unit

    def load(self, cycle):
        """Drive cycle 0 to 15 of the loads: pointers, entries and codebook at once."""
        config = self.config
        words = [s | r << config.start_bits for s, r in zip(self.starts, self.rows, strict=True)] + [0]
        self.loads.pointer_write.next = cycle < len(words) // 2
        if cycle < len(words) // 2:
            self.loads.pointer_address.next = 1 << 4 | cycle
            self.loads.pointer_data.next = words[2 * cycle] | words[2 * cycle + 1] << config.pointer_bits
        count = config.entries_per_word
        self.loads.entry_write.next = cycle < config.entry_words
        if cycle < config.entry_words:
            self.loads.entry_address.next = config.entry_words + cycle
            part = self.entries[count * cycle : count * (cycle + 1)]
            self.loads.entry_data.next = sum(e << config.entry_bits * i for i, e in enumerate(part))
        self.codebook.write.next = cycle < 16
        if cycle < 16:
            self.codebook.index.next, self.codebook.weight.next = cycle, self.weights[cycle] % 65536

    def look_up(self, column):
        self.column.valid.next, self.column.odd.next = True, column % 2
        self.column.even_address.next = 1 << 4 | (column // 2 + column % 2)
        self.column.odd_address.next = 1 << 4 | column // 2

    def add(self, column, activation):
        row = self.rows[column] - 1
        for i in range(self.lengths[column]):
            entry = self.entries[(self.starts[column] + i) % self.config.entries]
            row = (row + 1 + (entry >> 4)) % self.config.rows
            self.sums[row] = (self.sums[row] + self.weights[entry & 15] * activation) % (1 << 48)


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("pause", [0, 0.7])
def test_sums_are_right_however_columns_arrive(name, pause):
    config = CONFIGS[name]
    element = Element(config, f"{name} {pause}")
    generator = element.generator
    fulls = []
    state = {"next": [None, None], "stores": -1, "rows": []}
    hold = pipeline.hold_latency(config) - 2

    def drive(cycle):
        element.column.bank.next = True
        element.reset.next = element.counters.reset.next = cycle == 0
        element.load(cycle)
        element.column.valid.next = False
        element.steps.hold.next = element.steps.advance.next = element.steps.clear.next = False
        if state["next"][0] is not None:
            element.column.activation.next = state["next"][0] % 65536
        state["next"] = [state["next"][1], None]
        if 18 <= cycle < 300 and not (len(fulls) >= hold and fulls[-hold]) and generator.random() >= pause:
            column, value = generator.randrange(COLUMNS), generator.randint(-32768, 32767)
            element.look_up(column)
            element.add(column, value)
            state["next"][1] = value
        if not element.busy and cycle > 320 and state["stores"] < 0:
            state["stores"] = cycle + 8
        since = cycle - state["stores"]
        if state["stores"] > 0 and since >= 0:
            element.steps.hold.next = since < 2 * config.rows
            element.steps.advance.next = 2 <= since < 2 + 2 * config.rows and since % 2 == 0
            element.steps.clear.next = 2 <= since < 3 + 2 * config.rows and since % 2 == 1
            element.steps.row.next = (since - 3) // 2 if 3 <= since < 3 + 2 * config.rows else 0

    def look(cycle):
        fulls.append(bool(element.full))
        since = cycle - state["stores"] - 5
        if state["stores"] > 0 and since >= 0 and since % 2 == 0 and since // 2 < config.rows:
            state["rows"].append(int(element.accumulator))

    run_unit(element.build, drive, look, 1400)
    assert state["rows"] == element.sums
    assert any(element.sums)
    assert any(fulls) or pause


def test_a_column_takes_one_cycle_an_entry_and_the_latencies_of_the_pipeline():
    element = Element(BASE, 5)
    column = max(range(COLUMNS), key=lambda j: element.lengths[j])
    busy, pushed, entered, written = [], [], [], []

    def drive(cycle):
        element.column.bank.next = True
        element.reset.next = element.counters.reset.next = cycle == 0
        element.load(cycle)
        element.column.valid.next = False
        if cycle == 20:
            element.look_up(column)
        element.column.activation.next = 3

    def look(cycle):
        parts = {part.func.__name__: part.sigdict for part in element.unit.subs}
        arithmetic = parts["arithmetic_unit"]
        for cycles, signal in (
            (busy, element.busy),
            (pushed, parts["activation_queue"]["push"]),
            (entered, arithmetic["entry_valid"]),
            (written, arithmetic["write"]),
        ):
            if signal:
                cycles.append(cycle)

    run_unit(element.build, drive, look, 60)
    length = element.lengths[column]
    assert length > 3
    push = 20 + pipeline.COLUMN_LATENCY
    issue = push + pipeline.ISSUE_LATENCY
    enter = issue + pipeline.ENTRY_LATENCY
    assert pushed == [push]
    assert busy == list(range(issue, issue + length))
    assert entered == list(range(enter, enter + length))
    # What is written in a cycle is in the accumulator in the next.
    assert [cycle + 1 for cycle in written] == [cycle + pipeline.SUM_LATENCY for cycle in entered]
