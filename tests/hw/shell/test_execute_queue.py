"""What goes to the execute queue runs with its fields as soon as what it needs is there; all retire in order."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract import isa
from eie.contract.pipeline import EXECUTE_QUEUE
from eie_hw.parts.interfaces import (
    ComputeCommand,
    ElementwiseCommand,
    FormatCommand,
    ReadCommand,
    StoreCommand,
    bit,
    vector,
)
from eie_hw.shell.execute_queue import TICKET_BITS, execute_queue

QUEUED = (isa.COMPUTE, isa.STORE, isa.READ, isa.FORMAT, isa.ELEMENTWISE)
SEGMENTS = 8
FOUR_ROWS = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=4, activations=32)


def _quarters(part):
    """Return the quarters of the accumulators that a part covers: those of four rows, one a quarter."""
    first, size = FOUR_ROWS.accumulator_part(part)
    return set(range(first, first + size))


def _meet(first, second):
    """Tell whether two instructions may not be in progress at once; the second comes later in the program."""
    names = {first["instruction"].name, second["instruction"].name}
    segments = first["segments"] & second["segments"]
    if names == {"COMPUTE"} or names == {"COMPUTE", "FORMAT"} or names == {"READ", "FORMAT"}:
        return False
    if names == {"COMPUTE", "STORE"} and first["instruction"] is isa.STORE:
        return bool(segments) or bool(_quarters(first["values"]["part"]) & _quarters(second["values"]["part"]))
    if names == {"READ", "STORE"} and first["instruction"] is isa.READ:
        return bool(segments)
    return not (names == {"COMPUTE", "READ"} and first["instruction"] is isa.READ)


def _over(first, second):
    """Tell whether an instruction no longer hinders a later one: it is done, or a STORE has released what it used."""
    return first["done"] or (first["released"] and second["instruction"] in (isa.COMPUTE, isa.READ))


@pytest.mark.parametrize("push_rate", [1, 0.1])
def test_instructions_begin_when_those_that_they_need_are_done_and_retire_in_order(push_rate):
    generator = random.Random(push_rate)
    reset, push, full, empty, retire, hold = (bit() for _ in range(6))
    header, ticket, retired, segments = vector(64), vector(TICKET_BITS), vector(TICKET_BITS), vector(SEGMENTS)
    bundles = {
        isa.COMPUTE: ComputeCommand(),
        isa.STORE: StoreCommand(),
        isa.READ: ReadCommand(),
        isa.FORMAT: FormatCommand(),
        isa.ELEMENTWISE: ElementwiseCommand(),
    }
    program: list[dict] = []  # not yet retired, the oldest first
    state: dict = {"offer": None}
    seen = {"begun": 0, "fulls": 0, "resets": 0, "together": 0, "overtaken": 0}

    def running(instruction):
        return [step for step in program if step["begun"] and not step["done"] and step["instruction"] is instruction]

    def drive(cycle):
        reset.next = cycle == 0 or (cycle > 200 and generator.random() < 0.004)
        hold.next = generator.random() < 0.2
        bundles[isa.STORE].released.next = False
        for instruction, bundle in bundles.items():
            bundle.done.next = False
            mine = running(instruction)
            if mine and mine[0]["age"] > 0 and generator.random() < 0.1:
                if instruction is not isa.STORE or mine[0]["released"]:
                    bundle.done.next = True
                else:
                    bundle.released.next = True
        bundles[isa.COMPUTE].ready.next = generator.random() < 0.7
        push.next = False
        state["offer"] = None
        if cycle > 2 and generator.random() < push_rate and len(program) < EXECUTE_QUEUE:
            instruction = generator.choice((isa.COMPUTE, isa.COMPUTE, isa.COMPUTE, *QUEUED))
            values = {f.name: generator.getrandbits(f.width) for f in instruction.fields}
            touched = {generator.randrange(SEGMENTS)} if instruction is not isa.FORMAT else set()
            header.next = instruction.encode(**values)
            segments.next = sum(1 << s for s in touched)
            state["offer"] = {
                "instruction": instruction, "values": values, "segments": touched, "begun": False, "done": False,
                "released": False, "age": 0,
            }  # fmt: skip
            push.next = True

    def look(cycle):
        if cycle < 2:
            return
        assert bool(full) == (len(program) == EXECUTE_QUEUE)
        assert bool(empty) == (not program)
        seen["fulls"] += bool(full)
        for instruction, bundle in bundles.items():
            if bundle.start:
                step = next(s for s in program if s["instruction"] is instruction and not s["begun"])
                before = program[: next(i for i, s in enumerate(program) if s is step)]
                assert not any(_meet(s, step) for s in before if not _over(s, step))
                assert len(running(instruction)) < (2 if instruction is isa.COMPUTE else 1)
                seen["overtaken"] += any(not s["begun"] for s in before)
                step["begun"] = True
                seen["begun"] += 1
                assert {name: int(getattr(bundle, name)) for name in step["values"]} == step["values"]
        seen["together"] += len([s for s in program if s["begun"] and not s["done"]]) > 2
        # Retired is what was done in an earlier cycle, from the oldest on.
        assert bool(retire) == (bool(program) and program[0]["done"])
        if retire:
            assert retired == program.pop(0)["slot"]
        if bundles[isa.STORE].released:
            running(isa.STORE)[0]["released"] = True
        for instruction, bundle in bundles.items():
            if bundle.done:
                running(instruction)[0]["done"] = True
        for step in program:
            step["age"] += step["begun"]
        if push:
            program.append({**state["offer"], "slot": int(ticket)})
        if reset:
            program.clear()
            seen["resets"] += 1

    def build(clk):
        return execute_queue(
            clk, reset, push, header, segments, full, empty, ticket, retire, retired, hold, *bundles.values()
        )

    run_unit(build, drive, look, 4000)
    assert seen["begun"] > 150
    assert seen["resets"] > 1
    assert seen["together"] > 100 if push_rate == 1 else seen["together"] > 10
    assert seen["overtaken"] > 5
    assert (seen["fulls"] > 50) == (push_rate == 1)
