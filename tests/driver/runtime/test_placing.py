"""What is on a device: nothing is packed twice for the same place."""

import numpy as np
import pytest

import eie
from eie.runtime import placing
from tests.driver.runtime.test_accelerator import CONFIG, model

# Three of the models fit at once, none of the larger one beside another.
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
