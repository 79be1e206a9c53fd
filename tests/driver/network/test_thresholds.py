"""Integer stages have the levels of what they were made from, on every sum that can be reached, or say where not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.errors import LayerError
from eie.network.thresholds import affine_thresholds, integer_stage, reachable_sums
from tests.keywords import KEYWORDS, keyword_network


def levels_of(stage, sums):
    """Return the levels of an integer stage, shape (R, S), for sums of shape (S,)."""
    totals = stage.factor * np.tile(sums, (len(stage.bias), 1)) + stage.bias[:, None]
    return stage.scaling.finish(totals.T, stage.shift, False).T


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.booleans(), st.sampled_from((30, 1000, 40000)))
def test_an_affine_stage_is_equal_wherever_its_proof_says_so(seed, bits, signed, reach):
    rng = np.random.default_rng(seed)
    rows = 6
    low = -(1 << bits - 1) if signed else 0
    high = low + (1 << bits) - 1
    gain = rng.choice([-1, 1], rows) * 10.0 ** rng.uniform(-3, 0, rows)
    offset = rng.normal(0, 4, rows)
    sums = np.arange(-reach, reach + 1)
    wanted = np.clip(np.rint(gain[:, None] * sums + offset[:, None]), low, high)
    ends = np.tile([-reach, reach], (rows, 1))
    stage = integer_stage(affine_thresholds(gain, offset, low, high), ends, 3, low, gain < 0)
    differs = levels_of(stage, sums) != wanted
    told = np.zeros_like(differs)
    for row, first, last in stage.exceptions:
        told[row, first + reach : last + reach + 1] = True
    assert np.array_equal(differs, told)


@pytest.mark.parametrize("row", [[-40.0, -3.5, 0.25, 9.0], [5.0, 5.0, 5.0, 90.0], [-np.inf, 2.0, np.inf, np.inf]])
def test_thresholds_that_are_not_on_a_line_are_met_or_named(row):
    sums = np.arange(-100, 101)
    stage = integer_stage([row], [[-100, 100]], 7)
    wanted = (sums[:, None] >= np.array(row)).sum(axis=1)
    differs = np.flatnonzero(levels_of(stage, sums)[0] != wanted) - 100
    told = [value for _, first, last in stage.exceptions for value in range(first, last + 1)]
    assert differs.tolist() == sorted(set(told))


def test_reachable_sums_are_those_of_the_extreme_inputs():
    weights = np.array([[1, -2, 3], [0, 0, 0]])
    assert reachable_sums(weights, -4, 7).tolist() == [[-4 - 14 - 12, 7 + 8 + 21], [0, 0]]


@pytest.mark.parametrize(
    "thresholds, sums, weight, message",
    [
        ([[2.0, 1.0]], [[0, 9]], 1, "ascending thresholds"),
        ([[1.0, 2.0]], [[0, 9], [0, 9]], 1, "ascending thresholds"),
        ([[np.nan]], [[0, 9]], 1, "ascending thresholds"),
        ([[1.0]], [[0, 9]], 40000, "largest weight is 40000; it must lie in 1..32767"),
        ([[-3e8, 3e8]], [[-(10**9), 10**9]], 1, "leave no room in 25 bits"),
    ],
)
def test_what_cannot_be_a_stage_is_refused(thresholds, sums, weight, message):
    with pytest.raises(LayerError, match=message):
        integer_stage(thresholds, sums, weight)


@pytest.mark.skipif(not KEYWORDS.exists(), reason="needs ../shared/data/kws_w3a3")
def test_the_keyword_network_gives_the_classes_of_hardware_that_nobody_here_built():
    model, proofs = keyword_network()
    assert proofs == [()] * 3, "every row is proved equal"
    samples = np.load(KEYWORDS / "samples.npz")
    accelerator = eie.Accelerator(eie.EmulatedDevice())
    accelerator.load(model)
    outputs = accelerator.run_raw(samples["inputs"].astype(np.int16))
    assert (outputs.argmax(axis=1) == samples["board_top1"]).sum() == len(samples["board_top1"]) == 1000


@pytest.mark.full
@pytest.mark.skipif(not KEYWORDS.exists(), reason="needs ../shared/data/kws_w3a3")
def test_the_keyword_network_gives_the_same_on_the_rtl():
    model, _ = keyword_network()
    samples = np.load(KEYWORDS / "samples.npz")
    inputs = samples["inputs"].astype(np.int16)
    with eie.Accelerator(eie.RtlDevice()) as accelerator:
        accelerator.load(model)
        outputs = accelerator.run_raw(inputs)
    assert np.array_equal(outputs, eie.reference(model, inputs))
    assert np.array_equal(outputs.argmax(axis=1), samples["board_top1"])
