"""Packing and emulation together: the packed stream computes what the integer reference computes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import eie
from eie.contract import isa, pipeline
from eie.program.memory import Memory
from eie.program.packing import pack
from tests.instructions import instructions_of
from tests.strategies import activations, configs, models


@settings(max_examples=60, deadline=None)
@given(models(), configs(), st.integers(0, 7), st.integers(0, 2**32))
def test_reference_equals_emulation_of_the_packed_stream(model, config, batch, seed):
    acc = eie.Accelerator(eie.EmulatedDevice(config))
    a = activations(model, batch, seed)
    assert np.array_equal(acc.run_raw(a, model=model), eie.reference(model, a))


@settings(max_examples=40, deadline=None)
@given(models(max_layers=4, max_size=200), st.sampled_from((1, 2, 4, 8, 16, 64, 256)), st.integers(0, 2**32))
def test_a_resident_model_equals_the_reference_run_after_run(model, num_pes, seed):
    config = eie.ArrayConfig(num_pes=num_pes, rows=4096 // num_pes, activations=max(4096, 4 * num_pes))
    acc = eie.Accelerator(eie.EmulatedDevice(config))
    for batch in (1, 2, 3, 9):
        a = activations(model, batch, seed + batch)
        assert np.array_equal(acc.run_raw(a, model=model), eie.reference(model, a))


@settings(max_examples=40, deadline=None)
@given(models(), configs(pes=(1, 4, 16, 64)), st.integers(1, 5))
def test_every_instruction_of_a_packed_model_is_valid(model, config, batch):
    packed = pack(model, config)
    assert packed.resident == (len(packed.weights) > 0)
    kinds = {i.name for i, _, _ in instructions_of(packed.weights, config)}
    for segment in packed.segments:
        words = np.zeros(segment.words(batch), np.uint64)
        segment.fill(np.zeros((batch, segment.columns), np.int16), words)
        program = list(instructions_of(words, config))
        last = [values["last"] for i, values, _ in program if i is isa.READ]
        assert last == [0] * (len(last) - 1) + [1], "the packet to the host ends once, at the end"
        kinds |= {i.name for i, _, _ in program}
    scaled = {"SCALE", "FORMAT"} if any(layer.scaling for layer in model.layers) else set()
    always = {"POINTERS", "BIAS", "ACTIVATIONS", "COMPUTE", "STORE", "READ"}
    assert kinds - {"ENTRIES", "CODEBOOK"} == always | scaled


def layer(rows, columns, density=0.2, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 16, (rows, columns)) * (rng.random((rows, columns)) < density)
    return eie.Layer.from_dense_codes(codes, np.arange(16) - (np.arange(16) > 0) * 8, shift=4, relu=True)


@pytest.mark.parametrize(
    ("rows", "columns", "density"),
    [(1, 1, 1), (1, 300, 0.3), (300, 1, 0.3), (3, 5, 0), (7, 3, 1), (64, 64, 1), (65, 63, 0.5), (700, 700, 0.05)],
)
@pytest.mark.parametrize("num_pes", [1, 8, 64, 256])
def test_any_shape_compiles(rows, columns, density, num_pes):
    config = eie.ArrayConfig(num_pes=num_pes, entries=1024, rows=8, activations=max(256, 2 * num_pes))
    model = eie.Model([layer(rows, columns, density)])
    acc = eie.Accelerator(eie.EmulatedDevice(config))
    a = activations(model, 3, seed=1)
    assert np.array_equal(acc.run_raw(a, model=model), eie.reference(model, a))


def test_vgg_6_packs_for_small_memories():
    rng = np.random.default_rng(6)
    rows, columns = 4096, 25088
    counts = rng.binomial(rows, 0.04, columns)
    flat = np.concatenate([np.sort(rng.choice(rows, n, replace=False)) for n in counts])
    vgg6 = eie.Layer(
        rows=rows,
        columns=columns,
        column_starts=np.r_[0, np.cumsum(counts)],
        row_indices=flat,
        codes=rng.integers(1, 16, len(flat)),
        codebook=np.r_[0, rng.integers(-500, 500, 15)],
        bias=np.zeros(rows, np.int64),
        shift=10,
        relu=True,
    )
    model = eie.Model([vgg6])
    acc = eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig()))
    a = activations(model, 1, seed=0, density=0.183)
    assert np.array_equal(acc.run_raw(a, model=model), eie.reference(model, a))


def test_layers_stay_on_chip_while_their_activations_fit():
    chain = eie.Model([layer(64, 128), layer(32, 64), layer(16, 32)])
    assert len(pack(chain, eie.ArrayConfig(num_pes=4, activations=256)).segments) == 1
    assert len(pack(chain, eie.ArrayConfig(num_pes=4, activations=128)).segments) == 2


def test_as_many_inferences_take_turns_as_there_is_room_for():
    model = eie.Model([layer(64, 128)])
    roomy = pack(model, eie.ArrayConfig(num_pes=4, activations=1024)).segments[0]
    tight = pack(model, eie.ArrayConfig(num_pes=4, activations=256)).segments[0]
    assert (roomy.inferences, tight.inferences) == (4, 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(130, 500), st.sampled_from((1, 4, 16)), st.integers(0, 2), st.booleans(), st.integers(0, 2**32))
def test_an_input_in_pieces_and_without_its_margins_gives_the_references_outputs(columns, num_pes, banks, two, seed):
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 16, (2, 20, columns)) * (rng.random((2, 20, columns)) < 0.3)
    codes[:, :, : rng.integers(columns // 3)] = codes[:, :, columns - rng.integers(columns // 3) :] = 0
    first, second = (eie.Layer.from_dense_codes(part, np.r_[0, np.arange(15) - 5], shift=4) for part in codes)
    model = eie.Model([replace(first, second=second.terms[0] if two else None), layer(9, 20)])
    # With less memory for entries, the first layer has several tiles.
    config = eie.ArrayConfig(num_pes=num_pes, entries=1 << 12 >> banks, banks=2, rows=64, activations=1 << 12)
    (segment,) = pack(model, config).segments
    assume(segment.inferences > 1)
    a = activations(model, 3, seed)
    acc = eie.Accelerator(eie.EmulatedDevice(config))
    for vector in a:
        assert np.array_equal(acc.run_raw(vector[None], model=model), eie.reference(model, vector[None]))
    assert np.array_equal(acc.run_raw(a, model=model), eie.reference(model, a))


def test_an_inference_alone_loads_each_piece_of_its_input_into_segments_that_no_other_piece_has():
    config = eie.ArrayConfig()
    packed = pack(eie.Model([layer(300, 784), layer(10, 300)]), config)
    part = config.activation_groups // pipeline.ACTIVATION_SEGMENTS
    alone, two, *_ = packed.segments[0].units
    loads = [values for i, values, _ in instructions_of(alone.words, config) if i is isa.ACTIVATIONS]
    segments = [{group // part for group in range(v["address"], v["address"] + v["count"])} for v in loads]
    assert [values["count"] for values in loads] == [2, 4, 3, 4]
    assert len(set.union(*segments)) == sum(map(len, segments))
    order = [i.name for i, _, _ in instructions_of(alone.words, config)][:8]
    assert order == ["ACTIVATIONS", "COMPUTE"] * 4
    assert len([i for i, _, _ in instructions_of(two.words, config) if i is isa.ACTIVATIONS]) == 2


def test_inputs_before_the_first_weight_and_behind_the_last_are_not_sent():
    config = eie.ArrayConfig(num_pes=4)
    codes = np.zeros((4, 40), int)
    codes[:, 9], codes[:, 30] = 3, 5
    model = eie.Model([eie.Layer.from_dense_codes(codes, np.arange(16))])
    packed = pack(model, config)
    assert packed.inputs == range(9, 31)
    for unit in packed.segments[0].units:
        sent = [(part.first, part.count) for part in unit.inputs]
        assert (sum(count for _, count in sent), min(sent)[0]) == (22 * unit.inferences, 9)
    assert packed.segments[0].columns == packed.model.columns == 40
    a = np.arange(40, dtype=np.int16)[None]
    with eie.Accelerator(eie.EmulatedDevice(config)) as accelerator:
        assert np.array_equal(accelerator.run_raw(a, model=model), eie.reference(model, a))
        assert accelerator.counters.broadcasts == 22
    nothing = eie.Model([eie.Layer.from_dense_codes(np.zeros((4, 40), int), np.arange(16))])
    assert len(pack(nothing, config).inputs) == 1


def test_a_second_model_is_placed_behind_the_first():
    config = eie.ArrayConfig(num_pes=4)
    memory = Memory(config)
    first = pack(eie.Model([layer(40, 40)]), config, memory)
    second = pack(eie.Model([layer(40, 40, seed=1)]), config, first.memory)
    assert first.resident and second.resident
    places = [
        {(v["bank"], v["address"]) for i, v, _ in instructions_of(p.weights, config) if i is isa.POINTERS}
        for p in (first, second)
    ]
    assert not places[0] & places[1]
    assert memory.pairs == [0, 0], "packing leaves the caller's memory as it was"


def test_models_whose_codebooks_travel_stay_together_and_leave_those_that_stay_alone():
    config = eie.ArrayConfig(num_pes=4, codebooks=4)
    models = [eie.Model([layer(24, 24, seed=10 * n + i) for i in range(count)]) for n, count in enumerate((2, 5, 4, 3))]
    memory = Memory(config)
    for model in models:
        packed = pack(model, config, memory)
        assert packed.resident
        memory = packed.memory
    a = activations(models[0], 3, seed=0)
    device = eie.EmulatedDevice(config)
    with eie.Accelerator(device) as acc:
        for model in models:
            acc.load(model)
        sent, send = [], device.send
        device.send = lambda *given, **named: (sent.append(given), send(*given, **named))[1]
        for model in (*models, *reversed(models)):
            assert np.array_equal(acc.run_raw(a, model=model), eie.reference(model, a))
    assert len(sent) == 8, "none is loaded again"


def test_more_layers_than_codebooks_stay_resident_and_send_their_codebooks():
    config = eie.ArrayConfig(num_pes=4, codebooks=2)
    model = eie.Model([layer(24, 24, seed=i) for i in range(5)])
    packed = pack(model, config)
    assert packed.resident
    acc = eie.Accelerator(eie.EmulatedDevice(config))
    a = activations(model, 4, seed=0)
    assert np.array_equal(acc.run_raw(a, model=model), eie.reference(model, a))


def test_hidden_outputs_that_nobody_reads_are_neither_stored_nor_broadcast():
    codebook = np.arange(16)
    hidden = eie.Layer.from_dense_codes(np.ones((3, 2), int), codebook)
    last = eie.Layer.from_dense_codes(np.array([[5, 0, 7]]), codebook)
    model, config = eie.Model([hidden, last]), eie.ArrayConfig(num_pes=1)
    packed = pack(model, config)
    assert [(layer.rows, layer.columns) for layer in packed.model.layers] == [(2, 2), (1, 2)]
    assert [rows.tolist() for rows in packed.rows] == [[0, 2], [0]]
    accelerator = eie.Accelerator(eie.EmulatedDevice(config))
    a = np.array([[1, 2]], np.int16)
    assert np.array_equal(accelerator.run_raw(a, model=model, verify=True), eie.reference(model, a))
    assert accelerator.counters.broadcasts == 2 + 2
    assert accelerator.counters.work.sum() == 4 + 2
