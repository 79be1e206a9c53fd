"""Outputs that are written and lost are counted, whatever the number of clusters; those of curves are not."""

import random

import pytest
from unit_bench import run_unit

from eie import ArrayConfig
from eie.contract.functions import CURVES, Operation
from eie_hw.array import saturation_count as counts
from eie_hw.array.saturation_count import saturation_count
from eie_hw.parts.array_interfaces import OutputFormat
from eie_hw.parts.interfaces import bit, vector


@pytest.mark.parametrize("num_pes", [1, 4, 8, 64, 256])
def test_what_is_written_and_lost_is_counted(num_pes):
    assert count(num_pes) > 20


MUTANTS = {
    "no curve is exempt": ("_CURVE", max(Operation) + 1),
    "products are exempt, too": ("_CURVE", Operation.MULTIPLY),
    "a sigmoid alone is exempt": ("_CURVE", Operation.SIGMOID),
}


@pytest.mark.parametrize("fault", MUTANTS)
def test_a_fault_in_the_unit_shows(fault, monkeypatch):
    name, value = MUTANTS[fault]
    monkeypatch.setattr(counts, name, int(value))
    with pytest.raises(AssertionError):
        count(16)


def count(num_pes):
    """Compare with what is expected; return how many steps lost something."""
    config = ArrayConfig(num_pes=num_pes)
    clusters = config.words_per_group
    generator = random.Random(num_pes)
    write, form = bit(), OutputFormat()
    saturated, total = vector(clusters), vector(clusters.bit_length())
    latency = 2 + 1 + (clusters - 1).bit_length()
    lost = [generator.getrandbits(clusters) for _ in range(600)]
    expected = []

    def drive(cycle):
        if cycle % 20 == 0:  # a format holds for an instruction
            form.elementwise.next = generator.random() < 0.7
            form.operation.next = generator.choice(list(Operation))
        write.next = cycle % 20 < 17 and generator.random() < 0.7
        saturated.next = lost[cycle - 2] if cycle >= 2 else 0

    def look(cycle):
        counted = write and not (form.elementwise and int(form.operation) in CURVES)
        expected.append(lost[cycle].bit_count() if counted else 0)
        if cycle >= latency:
            assert total == expected[cycle - latency]

    def build(clk):
        return saturation_count(clk, write, form, saturated, total, config)

    run_unit(build, drive, look, 600)
    return sum(number > 0 for number in expected)
