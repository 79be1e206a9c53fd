"""The benchmark of networks that hear: what they are given."""

import importlib
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    return importlib.import_module("bench_speech")


def test_speech_is_another_for_every_seed_and_the_same_for_one(bench):
    first, again, other = (bench.speech(seed, 1) for seed in (1, 1, 2))
    assert len(first) == bench.RATE and np.array_equal(first, again) and not np.array_equal(first, other)


def test_a_piece_begins_with_the_end_of_the_one_before(bench):
    pieces = bench.pieces(np.arange(bench.RATE, dtype=np.float32))
    assert pieces.shape[1] == bench.CONTEXT + bench.PIECE
    assert np.array_equal(pieces[1:, : bench.CONTEXT], pieces[:-1, -bench.CONTEXT :])


@pytest.mark.parametrize("hertz", [300, 1000, 3000, 6000])
def test_a_tone_is_in_the_band_of_its_frequency(bench, hertz):
    tone = np.sin(2 * np.pi * hertz * np.arange(bench.RATE) / bench.RATE)
    loudest = bench.spectra(tone)[50].argmax()
    covered = np.fft.rfftfreq(bench.WINDOW, 1 / bench.RATE)[bench.mel_bands()[loudest] > 0]
    assert covered.min() <= hertz <= covered.max()


def test_calibration_and_test_hear_different_clips(bench):
    assert bench.TEST_SEEDS + 16 <= bench.CALIBRATION_SEEDS
