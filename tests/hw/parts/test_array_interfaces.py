"""Bundles of the array: shared by parts, with the widths of the instruction set."""

import pytest

from eie import ArrayConfig
from eie.contract import isa
from eie_hw.parts.array_interfaces import share
from eie_hw.parts.interfaces import ComputeCommand, ElementwiseCommand, FormatCommand, ReadCommand, StoreCommand, bit
from eie_hw.parts.load_interfaces import ClusterLoads

CONFIG = ArrayConfig(num_pes=8)


def test_a_share_replaces_what_is_named_and_leaves_the_bundle_alone():
    loads, strobe = ClusterLoads(CONFIG, clusters=2), bit()
    taken = share(loads, bias_write=strobe)
    assert taken.bias_write is strobe
    assert taken.data is loads.data
    assert loads.bias_write is not strobe


def test_a_share_of_a_signal_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"ClusterLoads has no signal \['bias_writes'\]"):
        share(ClusterLoads(CONFIG), bias_writes=bit())


@pytest.mark.parametrize(
    "command, instruction",
    [
        (ComputeCommand(), isa.COMPUTE),
        (StoreCommand(), isa.STORE),
        (ReadCommand(), isa.READ),
        (FormatCommand(), isa.FORMAT),
        (ElementwiseCommand(), isa.ELEMENTWISE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_command_has_the_fields_of_its_instruction(command, instruction):
    for field in instruction.fields:
        assert len(getattr(command, field.name)) in (field.width, 0 if field.width == 1 else field.width)
    more = {"COMPUTE": {"ready"}, "STORE": {"released"}}.get(instruction.name, set())
    assert set(vars(command)) == {"start", "done", *more, *(f.name for f in instruction.fields)}
