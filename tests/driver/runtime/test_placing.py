"""What is on a device: nothing is packed twice for the same place."""

import dataclasses

import numpy as np
import pytest

import eie
from eie.runtime import placing
from tests.driver.runtime.test_accelerator import CONFIG, model

# One of the models fits at once, for its biases; none of the larger one beside another.
ROOMY = dataclasses.replace(CONFIG, entries=2048, pointers=1024, rows=64)
MODELS = [model(seed) for seed in range(5)]
LARGE = model(9, 150)


@pytest.fixture
def packed(monkeypatch):
    """The models that are packed, in order."""
    found = []
    pack = placing.pack

    def noted(given, *arguments):
        found.append(given)
        return pack(given, *arguments)

    monkeypatch.setattr(placing, "pack", noted)
    return found


def run_all(accelerator, models):
    for each in models:
        a = np.random.default_rng(1).integers(-99, 99, (2, each.columns)).astype(np.int16)
        assert np.array_equal(accelerator.run_raw(a, model=each), eie.reference(each, a))


def test_models_that_take_turns_are_packed_until_their_order_repeats(packed):
    models = [*MODELS, LARGE]
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        for _ in range(3):
            run_all(accelerator, models)
        assert len(accelerator.loaded) < len(models), "they do not fit at once"
        before = len(packed)
        run_all(accelerator, models)
        accelerator.soft_reset()
        run_all(accelerator, models[:1])
    assert len(packed) == before


def test_programs_remembered_longest_ago_are_forgotten_beyond_a_limit(packed, monkeypatch):
    monkeypatch.setattr(placing, "REMEMBERED_WEIGHTS", 1000)
    with eie.Accelerator(eie.EmulatedDevice(CONFIG)) as accelerator:
        for _ in range(2):
            run_all(accelerator, MODELS)
            accelerator.soft_reset()
    assert len(packed) > 2 * len(MODELS) - 2


class Sending(eie.EmulatedDevice):
    """Counts programs that give nothing back: weights."""

    programs = 0

    def send(self, buffer, reply_bytes=0, changed=None):
        self.programs += reply_bytes == 0
        super().send(buffer, reply_bytes, changed)


def sent_in_a_round(accelerator, models):
    before = accelerator.device.programs
    run_all(accelerator, models)
    return accelerator.device.programs - before


def test_more_models_than_codebook_slots_stay():
    """Ten codebooks in four slots: weights are sent once."""
    with eie.Accelerator(Sending(ROOMY)) as accelerator:
        assert sent_in_a_round(accelerator, MODELS) == len(MODELS)
        assert sent_in_a_round(accelerator, MODELS) == sent_in_a_round(accelerator, MODELS[::-1]) == 0


def test_of_models_that_take_turns_as_many_as_possible_stay():
    models = [*MODELS, *map(model, range(5, 8))]
    with eie.Accelerator(Sending(dataclasses.replace(ROOMY, pointers=256))) as accelerator:
        run_all(accelerator, models)
        there = len(accelerator.loaded)
        assert 2 < there < len(models)
        for _ in range(3):
            # Those that stay are sent never again; the others take turns in the last place.
            assert sent_in_a_round(accelerator, models) == len(models) - there + 1


def test_models_that_are_used_no_more_give_way():
    """Of all models only a part fits at once: the last ones, if none but they are run, are soon all there."""
    models = [*MODELS, *map(model, range(5, 8))]
    with eie.Accelerator(Sending(dataclasses.replace(ROOMY, pointers=256))) as accelerator:
        run_all(accelerator, models)
        last = models[-len(accelerator.loaded) :]
        for _ in range(3):
            run_all(accelerator, last)
        assert sent_in_a_round(accelerator, last) == 0


def test_on_the_simulated_hardware_more_models_than_codebook_slots_are_right():
    pytest.importorskip("eie_hw")
    from eie.errors import MissingExtraError

    try:
        device = eie.RtlDevice(ROOMY)
    except MissingExtraError as error:
        pytest.skip(str(error))
    with eie.Accelerator(device) as accelerator:
        for _ in range(2):
            run_all(accelerator, MODELS)
        assert list(accelerator.loaded) == MODELS
