"""A STORE steps through its rows, one PE of each cluster after another, around the loads; an ELEMENTWISE through the
lanes of its groups; reset sweeps all rows."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract.functions import MULTIPLIED, Operation
from eie.contract.pipeline import (
    ELEMENT_BEGIN,
    ENTRY_LATENCY,
    OPERAND_DELAY,
    SCALE_LATENCY,
    STORE_BEGIN,
    STORE_END,
    STORE_HOLD,
    STORE_RELEASE,
    STORE_SELECT,
    STORE_WRITE,
)
from eie_hw.array.store_control import store_control
from eie_hw.parts.array_interfaces import AccumulatorSteps, OperandRead, OutputSelect, OutputStep, share
from eie_hw.parts.interfaces import ElementwiseCommand, StoreCommand, bit, vector


@pytest.mark.parametrize("pes", [1, 2, 4, 16])
@pytest.mark.parametrize("load_rate", [0, 0.4])
def test_every_output_is_selected_and_written_once_in_order_and_never_with_a_load(pes, load_rate):
    config = ArrayConfig(num_pes=pes, entries=256, pointers=64, rows=8, activations=256)
    generator = random.Random(f"{pes} {load_rate}")
    elements = min(pes, 4)
    reset, start, done, load, clearing, write, scaled, released = (bit() for _ in range(8))
    bias, address, count = (vector(16) for _ in range(3))
    group_bits = (config.activation_groups - 1).bit_length()
    hold, advance, clear, element, lane = vector(4), vector(4), vector(4), vector(2), vector(2)
    part, store_row = vector(3), vector(config.row_bits)
    bias_row, group = vector(config.row_bits), vector(group_bits)
    history: list[dict] = []
    state: dict = {"busy": True, "since": 0, "stores": 0}

    def drive(cycle):
        reset.next = cycle == 0
        if cycle == 0:
            part.next = 7  # of a STORE before the reset: the sweep goes through all accumulators
        load.next = generator.random() < load_rate
        start.next = False
        if not state["busy"] and generator.random() < 0.2:
            rows = config.rows_per_group * generator.randint(1, config.rows // config.rows_per_group)
            groups = rows // config.rows_per_group
            bias.next = generator.randint(0, config.rows - rows)
            address.next = generator.randint(0, config.activation_groups - groups)
            count.next, start.next, scaled.next = rows, True, generator.random() < 0.5
            part.next = generator.randrange(8)
            state.update(busy=True, since=cycle)

    def look(cycle):
        history.append(
            {
                "load": bool(load), "hold": int(hold), "row": int(store_row),
                "advance": int(advance), "clear": int(clear), "element": int(element),
                "bias_row": int(bias_row), "write": (int(lane), int(group)) if write else None,
                "clearing": bool(clearing), "released": bool(released),
            }
        )  # fmt: skip
        if cycle and not clearing and state["busy"] and not state["since"]:
            state["busy"] = False
            swept = [h for h in history if h["advance"]]
            assert [h["advance"] for h in swept] == [15] * len(swept)
            assert len(swept) >= config.rows
            rows_swept = [history[i + 1]["row"] for i, h in enumerate(history[:-1]) if h["advance"]]
            assert rows_swept == [row % config.rows for row in range(len(rows_swept))]
        if done:
            _check(history[state["since"] :])
            state.update(busy=False, stores=state["stores"] + 1)

    def _check(cycles):
        late = SCALE_LATENCY * bool(scaled)
        rows, groups = int(count), int(count) // config.rows_per_group
        order = [(row, pe) for row in range(rows) for pe in range(elements)]
        lag = STORE_HOLD + ENTRY_LATENCY
        steps = [i - lag for i, c in enumerate(cycles) if c["advance"]]
        assert [cycles[i + lag]["advance"] for i in steps] == [1 << pe for _, pe in order]
        assert [cycles[i + lag + 1]["clear"] for i in steps] == [1 << pe for _, pe in order]
        holds = [0] * len(cycles)
        for i, (_, pe) in zip(steps, order, strict=True):
            holds[i + STORE_HOLD] |= 1 << pe
            holds[i + STORE_HOLD + 1] |= 1 << pe
        assert [c["hold"] for c in cycles] == holds
        first, size = config.accumulator_part(int(part))
        assert [cycles[i + lag + 1]["row"] for i in steps] == [first + row % size for row, _ in order]
        assert not any(cycles[i]["load"] for i in steps)
        selected = [(cycles[i + STORE_SELECT]["bias_row"], cycles[i + STORE_SELECT]["element"]) for i in steps]
        assert selected == [((row + int(bias)) % config.rows, pe) for row, pe in order]
        writes = [i for i, c in enumerate(cycles) if c["write"]]
        assert writes == [i + late + STORE_WRITE for i in steps if i + late + STORE_WRITE < len(cycles)]
        lanes = [(n % 4, int(address) + n // 4) for n in range(4 * groups)]
        if pes >= 4:
            lanes = [(pe, int(address) + row) for row, pe in order]
        assert [cycles[i]["write"] for i in writes] == lanes[: len(writes)]
        assert len(cycles) - 1 == steps[-1] + late + STORE_END, "done"
        assert [i for i, c in enumerate(cycles) if c["released"]] == [steps[-1] + late + STORE_RELEASE]
        if not load_rate:
            assert steps[0] == STORE_BEGIN
            distance = 2 if elements == 1 else 1
            assert steps == list(range(steps[0], steps[0] + distance * len(steps), distance))

    def build(clk):
        store = share(
            StoreCommand(), start=start, released=released, done=done, bias=bias, address=address, count=count,
            part=part, scaled=scaled,
        )  # fmt: skip
        steps = share(AccumulatorSteps(config, 4), hold=hold, advance=advance, clear=clear, row=store_row)
        select = share(OutputSelect(config), element=element, bias_row=bias_row)
        output = share(OutputStep(config), write=write, lane=lane, group=group)
        return store_control(
            clk, reset, store, ElementwiseCommand(), load, clearing, bit(), OperandRead(config), steps, select, output,
            config,
        )  # fmt: skip

    run_unit(build, drive, look, 900)
    assert state["stores"] > 5


@pytest.mark.parametrize("pes", [1, 2, 4, 16])
def test_an_elementwise_reads_both_groups_and_writes_every_lane_once_in_order(pes):
    config = ArrayConfig(num_pes=pes, entries=256, pointers=64, rows=8, activations=256)
    generator = random.Random(pes)
    reset, start, done, load, clearing, write, scaled = (bit() for _ in range(7))
    bias, address, count = (vector(16) for _ in range(3))
    command, operands, select = ElementwiseCommand(), OperandRead(config), OutputSelect(config)
    elementwise = bit()
    group_bits = (config.activation_groups - 1).bit_length()
    hold, advance, clear, lane, group = vector(4), vector(4), vector(4), vector(2), vector(group_bits)
    history: list[dict] = []
    state: dict = {"busy": True, "since": 0, "runs": 0}

    def drive(cycle):
        reset.next = cycle == 0
        command.start.next = False
        scaled.next = generator.random() < 0.5  # of a STORE: without effect
        if not clearing and cycle > 20 and (not state["busy"] or state["since"] == 0):
            groups = generator.randint(1, 3)
            command.count.next, command.start.next = groups, True
            command.address.next = generator.randint(0, config.activation_groups - groups)
            command.source.next = generator.randint(0, config.activation_groups - groups)
            command.operation.next = generator.choice(list(Operation))
            state.update(busy=True, since=cycle)

    def look(cycle):
        history.append(
            {
                "read": int(operands.group) if operands.enable else None, "first": bool(select.take_first),
                "second": bool(select.take_second),
                "element": int(select.element), "write": (int(lane), int(group)) if write else None,
                "walk": bool(hold or advance or clear) and not clearing,
            }
        )  # fmt: skip
        assert not done
        if command.done:
            _check(history[state["since"] :])
            state.update(busy=False, runs=state["runs"] + 1)

    def _check(cycles):
        late = SCALE_LATENCY * (int(command.operation) in MULTIPLIED)
        groups, target, operand = int(command.count), int(command.address), int(command.source)
        two = Operation.COPY < command.operation <= Operation.MULTIPLY
        steps = range(ELEMENT_BEGIN, ELEMENT_BEGIN + 4 * groups)
        reads = {i: c["read"] for i, c in enumerate(cycles) if c["read"] is not None}
        wanted = {}
        for g in range(groups):
            asks = ELEMENT_BEGIN + OPERAND_DELAY + 4 * g
            wanted[asks] = (target if two else operand) + g
            wanted[asks + 1] = operand + g
        assert reads == wanted
        assert [i for i, c in enumerate(cycles) if c["first"]] == [i + OPERAND_DELAY + 1 for i in steps[::4]]
        assert [i for i, c in enumerate(cycles) if c["second"]] == [i + OPERAND_DELAY + 2 for i in steps[::4]]
        assert [cycles[i + STORE_SELECT]["element"] for i in steps] == [n % 4 for n in range(4 * groups)]
        writes = {i: c["write"] for i, c in enumerate(cycles) if c["write"]}
        assert writes == {i + late + STORE_WRITE: (n % 4, target + n // 4) for n, i in enumerate(steps)}
        assert not any(c["walk"] for c in cycles)
        assert len(cycles) - 1 == steps[-1] + late + STORE_END

    def build(clk):
        store = share(StoreCommand(), start=start, done=done, bias=bias, address=address, count=count, scaled=scaled)
        steps = share(AccumulatorSteps(config, 4), hold=hold, advance=advance, clear=clear)
        output = share(OutputStep(config), write=write, lane=lane, group=group)
        return store_control(
            clk, reset, store, command, load, clearing, elementwise, operands, steps, select, output, config
        )

    run_unit(build, drive, look, 900)
    assert state["runs"] > 20
