"""How a batch is divided into transfers, and where the time goes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie
from eie.program.segment import inferences_per_transfer

MODEL = eie.Model([eie.Layer.from_dense_codes(np.ones((16, 64)), np.arange(16))])
CONFIG = eie.ArrayConfig(num_pes=4, entries=2048)
(SEGMENT,) = eie.pack(MODEL, CONFIG).segments


@given(st.integers(0, 20_000))
def test_transfers_of_a_batch_are_whole_units_alike_and_as_few_as_possible(batch):
    step = inferences_per_transfer(SEGMENT, batch)
    most = inferences_per_transfer(SEGMENT, 10**9)
    assert step % SEGMENT.inferences == 0
    assert SEGMENT.inferences <= step <= most
    assert -(-batch // step) <= -(-batch // most)
    if batch:
        transfers = -(-batch // step)
        assert step - (batch - (transfers - 1) * step) <= transfers * SEGMENT.inferences, "the last is hardly smaller"


def test_a_batch_that_divides_evenly_writes_its_programs_once(monkeypatch):
    monkeypatch.setattr("eie.program.segment._TRANSFER_BYTES", 8 * len(SEGMENT.unit) * 18)
    batch = 4 * 15 * SEGMENT.inferences
    assert inferences_per_transfer(SEGMENT, batch) == 15 * SEGMENT.inferences, "not 18, 18, 18 and 6"
    written = []
    write = type(SEGMENT).write_program

    def watch(segment, size, words):
        written.append(size)
        write(segment, size, words)

    monkeypatch.setattr(type(SEGMENT), "write_program", watch)
    accelerator = eie.Accelerator(eie.EmulatedDevice(CONFIG))
    a = np.random.default_rng(0).integers(-9, 9, (batch, 64)).astype(np.int16)
    for _ in range(3):
        assert np.array_equal(accelerator.run_raw(a, model=MODEL), eie.reference(MODEL, a))
    assert written == [15 * SEGMENT.inferences] * 2, "one for each buffer"


def test_times_are_taken_by_the_clock_that_is_asked_for():
    accelerator = eie.Accelerator(eie.EmulatedDevice(CONFIG))
    ticks = iter(range(1000))
    accelerator.times.clock = lambda: next(ticks)
    accelerator.run(np.zeros((5, 64), np.float32), model=MODEL)
    assert accelerator.times.seconds == pytest.approx({"quantise": 1, "fill": 1, "send": 1, "wait": 1, "unpack": 2}), (
        "unpack: from the reply, and to floats"
    )
    assert accelerator.times.inferences == 5
