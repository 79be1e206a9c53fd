"""Outputs are what the integer reference makes of the accumulators, or of the operands of an ELEMENTWISE."""

import random

import numpy as np
import pytest
from myhdl import Signal, block
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract.config import PRE_SHIFTS
from eie.contract.fixed_point import finish, finish_scaled
from eie.contract.functions import CURVES, MULTIPLIED, Operation, elementwise, lost_results
from eie.contract.pipeline import OUTPUT_LATENCY, SCALE_LATENCY
from eie.contract.saturation import lost_outputs, lost_scaled_outputs
from eie_hw.array import format_register as formats
from eie_hw.array import operand_unit as operands
from eie_hw.array import output_unit as outputs
from eie_hw.array.format_register import format_register
from eie_hw.array.operand_unit import operand_unit
from eie_hw.array.output_unit import output_unit
from eie_hw.parts.array_interfaces import OutputFormat, OutputSelect
from eie_hw.parts.interfaces import ElementwiseCommand, FormatCommand, StoreCommand, bit, vector
from eie_hw.parts.load_interfaces import BiasLoad

CONFIG = ArrayConfig(num_pes=4, entries=64, pointers=16, rows=8, activations=32)


def _accumulator(generator, shift):
    """Return an accumulator near what matters: halves, the ends of int16, the ends of the range."""
    centre = generator.choice((0, 32767 << shift, -32768 << shift, (1 << 47) - 1, -1 << 47, generator.getrandbits(46)))
    if generator.random() < 0.5:
        centre = generator.choice((1, -1)) * generator.getrandbits(generator.randint(1, 46))
    value = centre + generator.choice((0, 1, -1, 1 << shift >> 1, (1 << shift >> 1) - 1, generator.randint(-99, 99)))
    return max(-1 << 47, min((1 << 47) - 1, value))


@block
def with_operands(clk, accumulators, select, bias_load, element, word, result, saturated):
    """An output unit, and the units that tell it what an ELEMENTWISE is and feed it its operands."""
    operand, addend, multiplier = vector(16), vector(32), vector(16)
    scale, elementwise, form = vector(16), Signal(bool(1)), OutputFormat()
    told = format_register(clk, bit(), FormatCommand(), StoreCommand(), element, elementwise, form)
    given = operand_unit(
        clk, word, select.take_first, select.take_second, select.element, form.operation, operand, addend, multiplier
    )
    made = output_unit(
        clk, *accumulators, select, bias_load, form, operand, addend, multiplier, scale, result, saturated, CONFIG
    )
    return told, given, made


@pytest.mark.parametrize("scaled", [False, True])
def test_bias_scale_rounding_shift_saturation_relu_and_clip_are_exact(scaled):
    generator = random.Random(f"{scaled}")
    bias_load, select, form = BiasLoad(CONFIG), OutputSelect(CONFIG), OutputFormat()
    accumulators = [vector(48) for _ in range(4)]
    result, saturated = vector(16), bit()
    operand, addend, multiplier, scale = vector(16), vector(32), vector(16), vector(16)
    biases = {}
    expected: list = []
    kinds, lost = set(), set()
    steps = 40
    # Of a step in cycle t, data follow in t + 1, the scale in t + 2, and the result OUTPUT_LATENCY after the data.
    latency = OUTPUT_LATENCY + 1 + SCALE_LATENCY * scaled
    period = 16 + steps + latency
    late: dict = {"biases": 0, "accumulators": [0] * 4, "scales": [0, 0]}
    setting = {"shift": 0, "relu": False, "pre_shift": 0, "low": 0, "high": 0}

    def drive(cycle):
        # Each setting loads new biases, then runs; nothing is in flight when the next one begins.
        phase = cycle % period
        bias_load.data.next = late["biases"]
        for signal, value in zip(accumulators, late["accumulators"], strict=True):
            signal.next = value % (1 << 48)
        scale.next = late["scales"].pop(0) % (1 << 16)
        late["scales"].append(generator.getrandbits(16))
        bias_load.write.next = phase < 16
        expected.append(None)
        if phase < 16:
            if phase == 0:
                setting["shift"] = (cycle // period) % 48
                setting["relu"] = generator.random() < 0.3
                setting["pre_shift"] = generator.choice((0, 0, *PRE_SHIFTS))
                setting["low"] = generator.choice((-32768, -32768, 0, 5, generator.randint(-300, 300)))
                setting["high"] = generator.choice((32767, 32767, 7, 0, generator.randint(-300, 300)))
            low, high = (generator.choice((0, -1 << 31, (1 << 31) - 1, generator.randint(-9, 9))) for _ in range(2))
            pair, row = phase % 2, phase // 2
            biases[2 * pair, row], biases[2 * pair + 1, row] = low, high
            bias_load.pair.next, bias_load.row.next = pair, row
            late["biases"] = low % (1 << 32) | high % (1 << 32) << 32
        elif phase < 16 + steps:
            form.scaled.next, form.pre_shift.next = scaled, PRE_SHIFTS.index(setting["pre_shift"])
            form.low.next, form.high.next = setting["low"] % 65536, setting["high"] % 65536
            form.shift.next, form.relu.next = setting["shift"], setting["relu"]
            values = [_accumulator(generator, setting["shift"]) for _ in range(4)]
            late["accumulators"] = values
            chosen, row = generator.randrange(4), generator.randrange(8)
            select.element.next, select.bias_row.next = chosen, row
            total = np.array([values[chosen] + biases[chosen, row]])
            if scaled:
                factor = np.array([generator.choice((1, 1, -1, 32767, -32768, generator.randint(-999, 999)))], np.int16)
                late["scales"][-1] = int(factor[0])
                output = finish_scaled(total, factor, **setting)
                expected[-1] = int(output[0]), lost_scaled_outputs(total, factor, **setting, outputs=output)
            else:
                output = finish(total, setting["shift"], setting["relu"])
                expected[-1] = int(output[0]), lost_outputs(total, setting["shift"], setting["relu"], output)

    def look(cycle):
        if cycle >= latency and expected[cycle - latency] is not None:
            wanted, is_lost = expected[cycle - latency]
            assert result == wanted % 65536, f"shift {setting}"
            assert saturated == is_lost, f"shift {setting}"
            kinds.add(wanted)
            lost.add((wanted, is_lost))

    def build(clk):
        return output_unit(
            clk, *accumulators, select, bias_load, form, operand, addend, multiplier, scale, result, saturated, CONFIG
        )

    run_unit(build, drive, look, 48 * period)
    assert {-32768, 32767, 0} < kinds
    assert {(32767, 0), (32767, 1), (-32768, 1), (0, 0)} < lost
    assert len(kinds) > 100


@pytest.mark.parametrize("operation", Operation)
def test_an_elementwise_is_what_the_contract_says_for_the_ends_and_between(operation):
    assert len(check_elementwise(operation)) > 30


MUTANTS = {
    "the lowest segment is another": (operands, "_LOWEST", operands._LOWEST + 1, Operation.TANH),
    "the highest segment is another": (operands, "_HIGHEST", operands._HIGHEST - 1, Operation.SIGMOID),
    "segments are one further": (operands, "_OFFSETS", operands._OFFSETS[1:] + operands._OFFSETS[:1], Operation.TANH),
    "slopes are one further": (operands, "SLOPES", operands.SLOPES[1:] + operands.SLOPES[:1], Operation.SIGMOID),
    "an addend is not sign-extended": (operands, "_ONES", 0, Operation.ADD),
    "a copy adds something": (operands, "_NOTHING", operands._NOTHING + 1, Operation.COPY),
    "a difference is a sum": (operands, "_SUBTRACT", operands._MAXIMUM, Operation.SUBTRACT),
    "a maximum is not inverted": (operands, "_MAXIMUM", operands._SUBTRACT, Operation.MAXIMUM),
    "a product takes a slope": (operands, "_CURVE", int(Operation.MULTIPLY), Operation.MULTIPLY),
    "the carry of a difference is lost": (formats, "_SUBTRACT", 99, Operation.SUBTRACT),
    "a maximum gives the sum": (formats, "_MAXIMUM", 99, Operation.MAXIMUM),
    "the sign of an operand is not undone": (outputs, "_HALF", 0, Operation.ADD),
    "a sigmoid is a tanh": (formats, "_SIGMOID", 99, Operation.SIGMOID),
}
"""Faults in the units of the element-wise functions: a constant that is another, and the operation that shows it."""


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_in_the_units_shows(fault, monkeypatch):
    module, name, value, operation = MUTANTS[fault]
    monkeypatch.setattr(module, name, value)
    with pytest.raises(AssertionError):
        check_elementwise(operation)


def check_elementwise(operation):
    """Compare, and return the results; operands come from `operand_unit`, a group a time, each lane another pair."""
    generator = random.Random(operation)
    bias_load, select, element = BiasLoad(CONFIG), OutputSelect(CONFIG), ElementwiseCommand()
    result, word, saturated = vector(16), vector(64), bit()
    accumulators = [vector(48) for _ in range(4)]
    latency = 3 + 1 + OUTPUT_LATENCY + SCALE_LATENCY * (operation in MULTIPLIED)
    period = 4 + latency
    two = Operation.COPY < operation <= Operation.MULTIPLY
    ends = (0, 1, -1, 32767, -32768, 16384, -16384)
    state: dict = {"shift": 0, "words": {}, "expected": {}}
    kinds = set()

    def drive(cycle):
        phase = cycle % period
        if phase == 0:
            state["shift"] = (cycle // period) % 32 if generator.random() < 0.5 else generator.choice((0, 11, 14))
            a, b = (
                np.array([generator.choice((*ends, generator.randint(-32768, 32767))) for _ in range(4)], np.int16)
                for _ in range(2)
            )
            results = elementwise(operation, a, b, state["shift"])
            lost = [lost_results(operation, a[i:][:1], b[i:][:1], state["shift"], results[i:][:1]) for i in range(4)]
            state["expected"] = {cycle + latency + lane: (int(results[lane]), lost[lane]) for lane in range(4)}
            first, second = (int(v.view(np.uint64)[0]) for v in (a if two else b, b))
            state["words"] = {2: first, 3: second}
        element.operation.next, element.shift.next = operation, state["shift"]
        select.take_first.next, select.take_second.next = phase == 1, phase == 2
        select.element.next = (phase - 3) % 4
        word.next = state["words"].get(phase, generator.getrandbits(64))
        for accumulator in accumulators:
            accumulator.next = generator.getrandbits(48)

    def look(cycle):
        if cycle in state["expected"]:
            wanted, is_lost = state["expected"][cycle]
            assert result == wanted % 65536
            assert operation in CURVES or saturated == is_lost
            kinds.add(wanted)

    def build(clk):
        return with_operands(clk, accumulators, select, bias_load, element, word, result, saturated)

    run_unit(build, drive, look, 120 * period)
    return kinds


@pytest.mark.full
@pytest.mark.parametrize("operation", [Operation.SIGMOID, Operation.TANH], ids=lambda operation: operation.name)
def test_a_curve_is_the_contracts_for_every_input(operation):
    bias_load, select, element = BiasLoad(CONFIG), OutputSelect(CONFIG), ElementwiseCommand()
    result, word = vector(16), vector(64)
    accumulators = [vector(48) for _ in range(4)]
    latency = 3 + 1 + OUTPUT_LATENCY + SCALE_LATENCY
    inputs = np.arange(-32768, 32768).astype(np.int16)
    words = [int(w) for w in inputs.view(np.uint64)]
    wanted = (elementwise(operation, inputs, inputs, 11).astype(int) % 65536).tolist()

    def drive(cycle):
        element.operation.next, element.shift.next = operation, 11
        select.take_first.next, select.take_second.next = cycle % 4 == 1, cycle % 4 == 2
        select.element.next = (cycle - 3) % 4
        word.next = words[cycle // 4] if cycle // 4 < len(words) and cycle % 4 == 2 else 0

    def look(cycle):
        if 0 <= cycle - latency < len(wanted):
            assert result == wanted[cycle - latency], f"input {inputs[cycle - latency]}"

    def build(clk):
        return with_operands(clk, accumulators, select, bias_load, element, word, result, bit())

    run_unit(build, drive, look, 65536 + latency)
