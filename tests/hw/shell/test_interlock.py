"""Which memories an instruction uses is what its spans say; a lock holds until the last taker completes."""

import random

import pytest
from programs import header as random_header
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import isa
from eie.contract.pipeline import activation_segments
from eie_hw.parts.interfaces import bit, vector
from eie_hw.shell.interlock import resource_count, resource_lock, resource_use

CONFIGS = {
    "4 PEs": ArrayConfig(num_pes=4, entries=128, pointers=32, rows=8, activations=64),
    "1 PE": ArrayConfig(num_pes=1, entries=64, pointers=16, rows=8, activations=64, banks=1, codebooks=3),
    "few groups": ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=16),
}


def _uses(config, instruction, values, guarded=True):
    """Return the bits of what an instruction uses; if not `guarded`, of what it reads and writes only."""
    used = set()
    if "bank" in values:
        used.add(values["bank"])
    if "slot" in values:
        used.add(config.banks + values["slot"])
    first_segment = config.banks + config.codebooks + 1
    for span in instruction.spans:
        if span.memory == "biases":
            used.add(config.banks + config.codebooks)
        elif span.memory == "activations":
            size = config.activation_groups // activation_segments(config)
            start = values[span.start]
            end = start + span.length(config, values)
            if not guarded and span.alone is True:
                continue
            if guarded and span.is_alone(values):
                start, end = 0, config.activation_groups
            used |= {first_segment + group // size for group in range(start, end)}
    return sum(1 << number for number in used)


@pytest.mark.parametrize("name", CONFIGS)
def test_an_instruction_uses_what_its_spans_cover(name):
    config = CONFIGS[name]
    generator = random.Random(name)
    enable = bit()
    header, uses = vector(64), vector(resource_count(config))
    segments = vector(activation_segments(config))
    state: dict = {"expected": None, "before": None}
    kinds = set()

    def drive(cycle):
        instruction = generator.choice(isa.INSTRUCTIONS)
        word = random_header(config, instruction, generator)
        header.next, enable.next = word, cycle == 0 or generator.random() < 0.8
        values = instruction.decode(word)
        touched = _uses(config, instruction, values, guarded=False) >> config.banks + config.codebooks + 1
        state["now"] = (instruction, (_uses(config, instruction, values), touched))

    def look(cycle):
        if state["before"] is not None:
            assert (uses, segments) == state["before"]
        state["before"] = state["expected"]
        if enable:
            kinds.add(state["now"][0].name)
            state["expected"] = state["now"][1]

    run_unit(lambda clk: resource_use(clk, enable, header, uses, segments, config), drive, look, 500)
    assert len(kinds) == len(isa.INSTRUCTIONS)


def test_a_resource_is_free_when_its_last_taker_has_completed():
    generator = random.Random(9)
    reset, take, retire, busy = (bit() for _ in range(4))
    ticket, retired = vector(3), vector(3)
    # Instructions queued, the oldest first: (slot, whether it takes the resource).
    queue: list = []
    state = {"slot": 0, "busy": False, "changes": 0}

    def drive(cycle):
        reset.next = cycle == 0 or generator.random() < 0.005
        ticket.next = state["slot"]
        push = len(queue) < 8 and generator.random() < 0.3
        taking = push and generator.random() < 0.3
        take.next = taking
        retire.next = bool(queue) and generator.random() < 0.3
        retired.next = queue[0][0] if queue else 0
        state["push"] = (push, taking)

    def look(cycle):
        if cycle:
            state["changes"] += bool(busy) != state["busy"]
            assert bool(busy) == any(takes for _, takes in queue)
        state["busy"] = bool(busy)
        push, taking = state["push"]
        if retire:
            queue.pop(0)
        if push:
            queue.append((state["slot"], taking))
            state["slot"] = (state["slot"] + 1) % 8
        if reset:
            queue.clear()

    run_unit(lambda clk: resource_lock(clk, reset, take, ticket, retire, retired, busy), drive, look, 2000)
    assert state["changes"] > 100
