"""Faults happen once, at their word, and are all documented."""

from pathlib import Path

import numpy as np
import pytest
from eie.errors import ConfigError
from eie.virtual.faults import KINDS, Fault, Faults

WORDS = np.arange(10, 20, dtype=np.uint64)
DOCS = Path(__file__).parents[3] / "docs" / "virtual-board.md"


@pytest.mark.parametrize(
    ("fault", "words", "last", "fate"),
    [
        (Fault("stall", "send", 103), [10, 11, 12], False, "stall"),
        (Fault("truncate", "send", 103), [10, 11, 12], True, "truncate"),
        (Fault("lengthen", "send", 103, 2), [*range(10, 20), 19, 19], True, ""),
        (Fault("flip", "send", 103, 4), [10, 11, 12, 13 ^ 16, *range(14, 20)], True, ""),
    ],
)
def test_a_fault_of_a_stream_happens_once_at_its_word(fault, words, last, fate):
    faults = Faults()
    faults.inject(fault)
    for stream, first in (("receive", 100), ("send", 90), ("send", 104)):
        assert faults.on_stream(stream, first, WORDS, True)[0].tolist() == WORDS.tolist(), "not its word"
    out = faults.on_stream("send", 100, WORDS, True)
    assert (out[0].tolist(), *out[1:]) == (words, last, fate)
    assert faults.on_stream("send", 100, WORDS, True)[0].tolist() == WORDS.tolist(), "once"
    assert WORDS.tolist() == list(range(10, 20)), "memory is not touched"


def test_a_fault_of_the_memory_is_not_one_of_the_stream():
    faults = Faults()
    fault = Fault("slave_error", "receive", 5)
    faults.inject(fault)
    assert faults.on_stream("receive", 0, WORDS, True)[0].tolist() == WORDS.tolist()
    assert faults.take_at_memory("receive", 0, 5) is None
    assert faults.take_at_memory("receive", 5, 1) is fault
    assert faults.take_at_memory("receive", 5, 1) is None


def test_unknown_faults_and_streams_are_refused():
    with pytest.raises(ConfigError, match="there is no fault 'fire'; the faults are stall, "):
        Fault("fire")
    with pytest.raises(ConfigError, match="there is no stream 'up'; the streams are send and receive"):
        Fault("stall", "up")


def test_every_fault_is_documented():
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"`{kind}`" in text for kind in KINDS)
