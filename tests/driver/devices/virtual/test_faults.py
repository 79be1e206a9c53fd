"""Faults happen once, at their word, and are all documented."""

from pathlib import Path

import numpy as np
import pytest

from eie.devices.virtual.faults import KINDS, Fault, Faults
from eie.errors import ConfigError

WORDS = np.arange(10, 20, dtype=np.uint64)
DOCS = Path(__file__).parents[4] / "docs" / "virtual-board.md"


@pytest.mark.parametrize(
    ("fault", "words", "last", "stalls"),
    [
        (Fault("stall", "send", 103), [10, 11, 12], False, True),
        (Fault("truncate", "send", 103), [10, 11, 12], True, False),
        (Fault("lengthen", "send", 103, 2), [*range(10, 20), 19, 19], True, False),
        (Fault("flip", "send", 103, 4), [10, 11, 12, 13 ^ 16, *range(14, 20)], True, False),
    ],
)
def test_a_fault_of_a_stream_happens_once_at_its_word(fault, words, last, stalls):
    faults = Faults([fault])
    for stream, first in (("receive", 100), ("send", 90)):
        assert faults.on_stream(stream, first, WORDS, True)[0].tolist() == WORDS.tolist(), "not its word"
    out = faults.on_stream("send", 100, WORDS, True)
    assert (out[0].tolist(), *out[1:]) == (words, last, stalls)
    assert faults.on_stream("send", 100, WORDS, True)[0].tolist() == WORDS.tolist(), "once"
    assert WORDS.tolist() == list(range(10, 20)), "memory is not touched"


@pytest.mark.parametrize("at_once", [1, 2, 3, 4, 10])
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("stall", "send", 6), [10, 11, 12, 13, 14, 15]),
        (Fault("truncate", "send", 6), [10, 11, 12, 13, 14, 15, "last"]),
        (Fault("lengthen", "send", 6, 2), [*range(10, 20), 19, 19, "last"]),
        (Fault("flip", "send", 6, 4), [*range(10, 16), 0, *range(17, 20), "last"]),
    ],
)
def test_a_fault_is_the_same_however_the_packet_is_divided(fault, words, at_once):
    faults, passed = Faults([fault]), []
    for first in range(0, 10, at_once):
        end = first + at_once
        out, last, stalls = faults.on_stream("send", first, WORDS[first:end], end >= 10)
        passed += [*out.tolist(), *(["last"] if last else [])]
        if last or stalls:
            break
    assert passed == words
    assert not faults.pending


def test_a_fault_of_the_memory_is_not_one_of_the_stream():
    fault = Fault("slave_error", "receive", 5)
    faults = Faults([fault])
    assert faults.on_stream("receive", 0, WORDS, True)[0].tolist() == WORDS.tolist()
    assert faults.words_before("receive", 0, 5) == 5
    assert faults.words_before("receive", 3, 5) == 2
    assert faults.words_before("send", 3, 5) == 5
    assert faults.words_before("receive", 5, 1) == 0
    assert faults.take_at_memory("receive", 5) is fault
    assert faults.words_before("receive", 5, 1) == 1


def test_unknown_faults_and_streams_are_refused():
    with pytest.raises(ConfigError, match="there is no fault 'fire'; the faults are stall, "):
        Fault("fire")
    with pytest.raises(ConfigError, match="there is no stream 'up'; the streams are send and receive"):
        Fault("stall", "up")


def test_every_fault_is_documented():
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"`{kind}`" in text for kind in KINDS)
