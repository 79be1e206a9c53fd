"""One registered level of the multiplexer over the words of an activation group."""

from __future__ import annotations

from myhdl import ConcatSignal, always, always_comb, block

from eie.contract.config import WORD_BITS
from eie_hw.parts.interfaces import vector
from eie_hw.parts.multiplexer import multiplexer


@block
def word_level(clk, lane, position: int, words, narrowed):
    """Choose one of every four (or of two) words by the lane number's bits from `position`; registered."""
    ways = len(words) // len(narrowed)
    select_bits = ways.bit_length() - 1
    way = vector(select_bits)
    parts = len(narrowed) // WORD_BITS
    step = ways * WORD_BITS
    chosen = [vector(WORD_BITS) for _ in range(parts)]
    together = ConcatSignal(*reversed(chosen)) if parts > 1 else chosen[0]

    @always_comb
    def choose():
        way.next = lane[position + select_bits : position]

    choices = [choose_in_part(way, words, chosen[i], i * step, step) for i in range(parts)]

    @always(clk.posedge)
    def hold():
        narrowed.next = together

    return choose, choices, hold


@block
def choose_in_part(way, words, chosen, low: int, width: int):
    """Choose one word of a part of the words; the part is a signal of its own, for a slice keeps its bounds in VHDL."""
    part = vector(width)
    high = low + width

    @always_comb
    def take():
        part.next = words[high:low]

    return take, multiplexer(way, part, chosen)
