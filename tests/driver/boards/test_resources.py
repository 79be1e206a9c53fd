"""The resource estimate: against the arrays that it was fitted to, and what it must never say."""

import dataclasses
import json
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import eie
from eie.boards.board import board, board_names
from eie.boards.resources import FIT, FITTED, Resources, estimate, fit, fits
from tests.strategies import configs

STORED = json.loads(files("eie").joinpath("data").joinpath(FIT).read_text(encoding="utf-8"))
SAMPLES = STORED["samples"]


def array(sample):
    return eie.ArrayConfig(**sample["array"])


def test_the_stored_fit_is_that_of_the_stored_arrays():
    measured = {name: [sample[name] for sample in SAMPLES] for name in FITTED}
    fitted = fit([array(sample) for sample in SAMPLES], measured)
    for name in FITTED:
        assert np.allclose(fitted[name], STORED["coefficients"][name], rtol=1e-6)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample['array']['num_pes']}-pes")
def test_an_array_that_was_synthesised_is_estimated_closely(sample):
    found = estimate(array(sample))
    assert found.luts == pytest.approx(sample["logic_luts"] + sample["memory_luts"], rel=0.05)
    assert found.flip_flops == pytest.approx(sample["flip_flops"], rel=0.15)
    assert (found.ramb36, found.dsps) == (sample["ramb36"], sample["dsps"])


def test_an_array_that_the_fit_has_not_seen_is_estimated_closely():
    for left_out in SAMPLES:
        others = [sample for sample in SAMPLES if sample is not left_out]
        coefficients = fit([array(s) for s in others], {name: [s[name] for s in others] for name in FITTED})
        found = {name: eie.boards.resources.features(array(left_out))[name] @ coefficients[name] for name in FITTED}
        luts = left_out["logic_luts"] + left_out["memory_luts"]
        assert found["logic_luts"] + found["memory_luts"] == pytest.approx(luts, rel=0.1)
        assert found["flip_flops"] == pytest.approx(left_out["flip_flops"], rel=0.15)


@given(configs(), st.sampled_from(("num_pes", "rows", "entries", "queue_depth", "activations")))
def test_more_of_anything_never_takes_less(config, name):
    larger = config.to_dict() | {name: 2 * getattr(config, name)}
    try:
        more = estimate(eie.ArrayConfig(**larger))
    except eie.errors.ConfigError:
        return
    found = estimate(config)
    assert found.luts > 0 and found.flip_flops > 0 and found.ramb36 > 0
    if name == "num_pes":
        # A lane holds fewer activations then, which may save more than a PE takes of LUTs.
        assert more.dsps >= found.dsps + config.num_pes and more.flip_flops > found.flip_flops
    else:
        assert more.luts >= found.luts and more.ramb36 >= found.ramb36


@given(configs(), st.sampled_from((128, 256)))
def test_a_wider_stream_takes_more_luts_and_flip_flops_and_no_more_memory(config, bits):
    try:
        wide = estimate(dataclasses.replace(config, stream_bits=bits))
    except eie.errors.ConfigError:
        return
    narrow = estimate(dataclasses.replace(config, stream_bits=bits // 2))
    assert wide.luts > narrow.luts and wide.flip_flops > narrow.flip_flops
    assert (wide.ramb36, wide.dsps, wide.ultra_rams) == (narrow.ramb36, narrow.dsps, narrow.ultra_rams)


@pytest.mark.parametrize(
    "changes, ramb36_per_pe, of_scales",
    [
        ({}, 2, 1),  # 512 x 72 entries: a RAMB36; pointers 2 x 1024 x 17: two RAMB18; scales 256 x 64
        ({"rows": 256}, 3, 2),  # pointers of 19 bits: two RAMB36; scales 1024 x 64
        ({"index_bits": 4}, 2, 1),  # 64 of 72 bits
        ({"index_bits": 6}, 2.5, 1),  # 80 bits: a RAMB36 and a RAMB18
        ({"entries": 4096, "pointers": 512}, 3, 1),  # 1024 x 72: two RAMB36
        # Pointers 2 x 2048 x 14
        ({"entries": 16384, "pointers": 2050, "first_row": False, "ultra_ram": True}, 2, 1),
        ({"banks": 1}, 2, 1),  # 256 x 72, 512 x 17: no memory is smaller
    ],
)
def test_block_memories_follow_from_their_shapes(changes, ramb36_per_pe, of_scales):
    assert estimate(eie.ArrayConfig(num_pes=16, **changes)).ramb36 == 16 * ramb36_per_pe + of_scales


@pytest.mark.parametrize(
    "changes, ultra_rams, ramb36",
    [({}, 1, 8), ({"entries": 65536}, 4, 32), ({"index_bits": 6}, 2, 9)],  # 4096 x 72, 16384 x 72, 4096 x 80
)
def test_entries_in_ultra_ram_take_no_block_ram(changes, ultra_rams, ramb36):
    config = eie.ArrayConfig(**{"num_pes": 16, "entries": 16384, "ultra_ram": True} | changes)
    in_ultra_ram, in_block_ram = estimate(config), estimate(dataclasses.replace(config, ultra_ram=False))
    assert (in_ultra_ram.ultra_rams, in_block_ram.ultra_rams) == (16 * ultra_rams, 0)
    assert in_block_ram.ramb36 - in_ultra_ram.ramb36 == 16 * ramb36


def test_the_arrays_of_the_boards_fit_them():
    for name in board_names():
        assert fits(estimate(board(name).config), board(name)), name


def test_a_single_resource_too_many_does_not_fit():
    on = board("pynq-z2")
    assert fits(Resources(luts=53_200, slicem_luts=17_400, flip_flops=106_400, ramb36=140, dsps=220), on)
    for name in ("luts", "slicem_luts", "flip_flops", "ramb36", "dsps"):
        full = {"luts": 53_200, "slicem_luts": 17_400, "flip_flops": 106_400, "ramb36": 140, "dsps": 220}
        assert not fits(Resources(**full | {name: full[name] + 1}), on)
