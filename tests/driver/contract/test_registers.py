"""The register map: distinct offsets, and a hash that tells builds apart."""

import dataclasses

import eie
from eie.contract import registers


def test_registers_have_distinct_aligned_offsets_below_the_counters():
    offsets = [r.offset for r in registers.REGISTERS]
    assert len(set(offsets)) == len(offsets)
    assert all(o % 4 == 0 and o < registers.COUNTERS_BASE for o in offsets)
    assert registers.counter_offset(255, "blocked") < 1 << registers.ADDRESS_BITS


def test_every_parameter_has_a_register():
    config = eie.ArrayConfig.paper()
    values = registers.constant_values(config)
    assert all(values[registers.offset(name)] == int(value) for name, value in config.hardware_parameters().items())


def test_every_parameter_changes_the_build_hash():
    base = eie.ArrayConfig(num_pes=32, queue_depth=8, rows=16, codebooks=2)
    hashes = {registers.build_hash(base)}
    parameters = base.hardware_parameters()
    for name, value in parameters.items():
        changed = {"banks": 1, "codebooks": 3, "index_bits": 6}.get(
            name, (not value) if isinstance(value, bool) else 2 * value
        )
        hashes.add(registers.build_hash(dataclasses.replace(base, **{name: changed})))
    assert len(hashes) == 1 + len(parameters)
    assert registers.build_hash(dataclasses.replace(base, balance_rows=False)) in hashes, "it concerns packing alone"


def test_a_change_of_the_instruction_set_changes_the_build_hash(monkeypatch):
    before = registers.build_hash(eie.ArrayConfig())
    monkeypatch.setattr(registers.isa, "VERSION", registers.isa.VERSION + 1)
    assert registers.build_hash(eie.ArrayConfig()) != before
