"""Gates that share a codebook are one COMPUTE, each with a part of the accumulators, and compute what they did."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.network.cells import CELLS
from eie.network.scaling import Scaling
from eie.program.recurrent import pack_recurrent


def random_model(kind, columns, hidden, density, terms, scaled, alike, seed):
    """Return a recurrent layer whose gates have the codebooks of the first one, up to gate number `alike`."""
    rng = np.random.default_rng(seed)
    codebooks = [np.r_[0, np.sort(rng.integers(-2000, 2000, 15))] for _ in range(2)]
    layers = []
    for number, gate in enumerate(CELLS[kind].gates):
        shape = hidden, sum(columns if operand == "x" else hidden for operand in gate.operands)
        codes = [rng.integers(1, 16, shape) * (rng.random(shape) < density) for _ in range(terms)]
        shift = int(rng.integers(8, 14))
        scaling = Scaling(rng.integers(1 << 12, 1 << 14, hidden), int(rng.choice([0, 8]))) if scaled else None
        mine = [book + (number > alike) * np.arange(16) for book in codebooks]
        layers.append(
            eie.Layer.from_dense_codes(
                codes[0], mine[0], rng.integers(-(1 << 16), 1 << 16, hidden), shift + 14 * scaled,
                input_fraction_bits=12, output_fraction_bits=gate.fraction_bits, weight_fraction_bits=12,
                scaling=scaling, second=eie.Term.from_dense_codes(codes[1], mine[1]) if terms == 2 else None,
            )
        )  # fmt: skip
    return eie.RecurrentModel(kind, layers)


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["lstm", "lstm, cell state to 32", "gru", "gru, reset before"]),
    columns=st.integers(1, 30),
    hidden=st.integers(1, 50),
    density=st.sampled_from([0.05, 0.3, 1.0]),
    terms=st.integers(1, 2),
    scaled=st.booleans(),
    alike=st.integers(0, 3),
    pes=st.sampled_from([1, 2, 4, 8]),
    rows=st.sampled_from([4, 16, 64]),
    entries=st.sampled_from([64, 1024]),
    seed=st.integers(0, 99),
)
def test_gates_together_compute_what_the_reference_does(
    kind, columns, hidden, density, terms, scaled, alike, pes, rows, entries, seed
):
    model = random_model(kind, columns, hidden, density, terms, scaled, alike, seed)
    config = eie.ArrayConfig(num_pes=pes, rows=rows, entries=entries, pointers=256, activations=1024)
    x = np.random.default_rng(seed).integers(-8000, 8000, (2, 3, columns)).astype(np.int16)
    with eie.Accelerator(eie.EmulatedDevice(config)) as accelerator:
        outputs, states = accelerator.run_sequences(model, x, model.zero_states(2))
        again, _ = accelerator.run_sequences(model, x, states)
    assert np.array_equal(outputs, [eie.reference(model, sequence) for sequence in x])
    twice = np.concatenate([x, x], axis=1)
    assert np.array_equal(again, [eie.reference(model, sequence)[3:] for sequence in twice])


@pytest.mark.parametrize(
    "kind, alike, together",
    [
        ("lstm", 3, [range(4)]),
        ("lstm", 1, [range(2), range(2, 4)]),
        ("lstm", 0, [range(1), range(1, 4)]),
        ("gru", 3, [range(2), range(2, 3), range(3, 4)]),
        ("gru, reset before", 3, [range(2), range(2, 3)]),
    ],
)
def test_neighbours_with_the_same_operands_and_codebooks_are_together(kind, alike, together):
    packed = pack_recurrent(random_model(kind, 20, 40, 0.3, 2, False, alike, 1), eie.ArrayConfig(num_pes=4))
    assert [group.gates for group in packed.together] == together
    computes = [sum(len(tile.tiles) for tile in row_tiles) for row_tiles in packed.row_tiles]
    assert [sum(computes[i] for i in group.gates) for group in packed.together] == [2] * len(together)


def test_an_array_of_too_few_accumulators_takes_each_gate_by_itself():
    model = random_model("lstm", 20, 40, 0.3, 1, False, 3, 1)
    packed = pack_recurrent(model, eie.ArrayConfig(num_pes=4, rows=2))
    assert [len(group.gates) for group in packed.together] == [1] * 4


def test_a_column_too_long_for_a_bank_leaves_each_gate_by_itself():
    model = random_model("lstm", 4, 60, 1.0, 1, False, 3, 1)
    packed = pack_recurrent(model, eie.ArrayConfig(num_pes=1, rows=64, entries=32))
    assert [len(group.gates) for group in packed.together] == [1] * 4


def test_equal_codebooks_take_one_slot():
    model = random_model("lstm", 20, 40, 0.3, 2, False, 3, 1)
    packed = pack_recurrent(model, eie.ArrayConfig(num_pes=4, codebooks=4))
    assert packed.memory.slot == 2


def test_the_estimate_has_a_line_for_gates_together():
    model = random_model("lstm", 20, 40, 0.3, 1, False, 1, 1)
    model = replace(model, layers=[replace(layer, name=f"lstm/{i}") for i, layer in enumerate(model.layers)])
    estimate = eie.estimate(model, eie.ArrayConfig(num_pes=4))
    assert [layer.name for layer in estimate.layers] == ["lstm/0, lstm/1", "lstm/2, lstm/3", "cell"]
    assert [layer.rows for layer in estimate.layers][:2] == [80, 80]
