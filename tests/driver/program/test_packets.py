"""Cutting programs: whole instructions, nothing lost, and devices cannot tell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie.errors import DeviceError
from eie.program.packets import split_program
from tests.strategies import activations, configs, models


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_program_cut_anywhere_gives_the_same_answers(data):
    config = data.draw(configs(pes=(1, 4, 16, 64)))
    model = data.draw(models())
    packed = eie.pack(model, config)
    device = eie.EmulatedDevice(config)
    if len(packed.weights):
        device.send(packed.weights.view(np.uint8))
    a = activations(model, 3, 0)
    outputs = a
    for segment in packed.segments:
        words = np.zeros(segment.words(3), np.uint64)
        segment.fill(outputs, words)
        longest = max(len(words[part]) for part in split_program(words, config, _longest_instruction(words, config)))
        limit = data.draw(st.integers(longest, 4 * longest))
        parts = split_program(words, config, limit)
        assert all(0 < part.stop - part.start <= limit for part in parts)
        assert np.array_equal(np.concatenate([words[part] for part in parts]), words)
        for part in parts:
            device.send(np.ascontiguousarray(words[part]).view(np.uint8))
        outputs = segment.unpack(device.receive(1 << 40), 3)
    assert np.array_equal(outputs, eie.reference(model, a))


def _longest_instruction(words, config):
    low, high = 1, len(words)
    while low < high:
        middle = (low + high) // 2
        try:
            split_program(words, config, middle)
            high = middle
        except DeviceError:
            low = middle + 1
    return low


def test_what_fits_is_not_cut():
    words = np.full(10, 0xFF, np.uint64)
    assert split_program(words, eie.ArrayConfig(), 10) == [slice(0, 10)]


def test_an_instruction_longer_than_a_transfer_is_refused():
    from eie.contract import isa

    config = eie.ArrayConfig(num_pes=4)
    words = np.array([isa.CODEBOOK.encode(slot=0), *([0] * 4), isa.CODEBOOK.encode(slot=1), *([0] * 4)], np.uint64)
    assert split_program(words, config, 5) == [slice(0, 5), slice(5, 10)]
    with pytest.raises(DeviceError, match="the instruction at word 0 takes 5 words, a DMA transfer at most 4"):
        split_program(words, config, 4)
    with pytest.raises(DeviceError, match="word 0 of the program is no instruction"):
        split_program(np.full(10, 0xFF, np.uint64), config, 4)
