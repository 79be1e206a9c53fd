"""The output units are told how to make outputs: of a STORE with the last FORMAT, or of an ELEMENTWISE."""

import random

import pytest
from unit_bench import run_unit

from eie.contract.fixed_point import ACTIVATION_MAX, ACTIVATION_MIN
from eie.contract.functions import MULTIPLIED, Operation
from eie.contract.isa import FORMAT
from eie_hw.array import format_register as formats
from eie_hw.array.format_register import format_register
from eie_hw.parts.array_interfaces import OutputFormat
from eie_hw.parts.interfaces import ElementwiseCommand, FormatCommand, StoreCommand, bit

FIELDS = [field.name for field in FORMAT.fields]


def test_formats_are_those_of_the_contract():
    assert check() > 100


MUTANTS = {
    "the lowest is another": ("_LOWEST", formats._LOWEST + 1),
    "the highest is another": ("_HIGHEST", formats._HIGHEST - 1),
    "a product is not scaled": ("_MULTIPLIED", formats._MULTIPLIED + 1),
    "a maximum is scaled": ("_MULTIPLIED", formats._MULTIPLIED - 1),
    "another is a difference": ("_SUBTRACT", formats._SUBTRACT - 1),
    "another is a maximum": ("_MAXIMUM", formats._MAXIMUM + 1),
    "another is halved": ("_SIGMOID", formats._SIGMOID - 1),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_in_the_unit_shows(fault, monkeypatch):
    name, value = MUTANTS[fault]
    monkeypatch.setattr(formats, name, value)
    with pytest.raises(AssertionError):
        check()


def check():
    """Compare with the contract in every cycle; return how many formats were taken."""
    generator = random.Random(1)
    reset, elementwise = bit(), bit()
    form, store, element, output = FormatCommand(), StoreCommand(), ElementwiseCommand(), OutputFormat()
    state = {"kept": dict.fromkeys(FIELDS, 0), "expected": None, "done": False, "taken": 0}

    def drive(cycle):
        reset.next = cycle == 0 or generator.random() < 0.01
        form.start.next = generator.random() < 0.3
        elementwise.next = generator.random() < 0.5
        for name in FIELDS:
            signal = getattr(form, name)
            signal.next = generator.getrandbits(len(signal))
        store.relu.next, store.scaled.next = generator.random() < 0.5, generator.random() < 0.5
        store.shift.next = generator.getrandbits(len(store.shift))
        element.operation.next = generator.choice(list(Operation))
        element.shift.next = generator.getrandbits(len(element.shift))

    def look(cycle):
        if cycle > 1:
            told = {name: int(signal) for name, signal in vars(output).items()}
            assert told == state["expected"]
            assert bool(form.done) == state["done"]
        operation = int(element.operation)
        common = {
            "elementwise": int(elementwise), "operation": operation,
            "difference": int(elementwise and operation in (Operation.SUBTRACT, Operation.MAXIMUM)),
            "maximum": int(elementwise and operation == Operation.MAXIMUM),
            "halved": int(elementwise and operation == Operation.SIGMOID),
        }  # fmt: skip
        if elementwise:
            own = {"relu": 0, "scaled": int(int(element.operation) in MULTIPLIED), "shift": int(element.shift)}
            limits = {"pre_shift": 0, "low": ACTIVATION_MIN % 65536, "high": ACTIVATION_MAX}
        else:
            own = {"relu": int(store.relu), "scaled": int(store.scaled), "shift": int(store.shift)}
            limits = state["kept"]
        state["expected"] = common | own | limits
        state["done"] = bool(form.start) and not reset
        if reset:
            state["kept"] = dict.fromkeys(FIELDS, 0)
        elif form.start:
            state["kept"] = {name: int(getattr(form, name)) for name in FIELDS}
            state["taken"] += 1

    run_unit(lambda clk: format_register(clk, reset, form, store, element, elementwise, output), drive, look, 800)
    return state["taken"]
