"""Payload flits become beats as wide as the memories they are written to."""

from __future__ import annotations

from math import gcd

from myhdl import Signal, always, always_comb, block, concat

from eie_hw.parts.interfaces import vector


@block
def gearbox(
    clk: Signal,
    restart: Signal,
    narrow: Signal,
    word_there: Signal,
    word_valid: Signal,
    word: Signal,
    completes: Signal,
    beat_valid: Signal,
    beat: Signal,
    beat_bytes: int,
):
    """Cut a payload of words, which are flits, into beats of `beat_bytes` bytes that follow one another without gaps.

    **Ports**

    =========== === =============================================================================
    clk         in
    restart     in  the next word taken is the first of a payload; not together with `word_valid`
    narrow      in  the payload's beats are single words (held throughout the payload)
    word_there  in  with `word_valid`, or before the payload: a word is there, whatever it is
    word_valid  in  it is one of the payload, and taken
    word        in  a power of two of bytes
    completes   out the next word completes a beat (known before it arrives)
    beat_valid  out one cycle for each beat
    beat        out 8 * beat_bytes bits; a narrow beat fills the low ones
    =========== === =============================================================================

    **Parameters**: `beat_bytes`, at least those of a word.

    **Timing**: a beat leaves one cycle after the word that completes it; a beat a cycle at most, since no beat is
    shorter than a word.

    A beat ends in the word that completes it. `ahead` counts the bytes between the last byte received so far and
    that end, less a constant, such that `ahead` below a word's bytes means "in the next word" and is the distance to
    shift by.
    """
    word_bits = len(word)
    word_bytes = word_bits // 8
    powers = word_bytes.bit_length() - 1
    grain = gcd(beat_bytes, word_bytes)
    history_words = -(-(beat_bytes + word_bytes - grain) // word_bytes) - 1
    wide_start = beat_bytes - grain
    narrow_start = word_bytes - grain
    wide_step = beat_bytes - word_bytes
    bits = 8 * beat_bytes

    ahead = vector(max(powers + 1, wide_start.bit_length()))
    window = vector(word_bits * (history_words + 1))
    lowest = 8 * (word_bytes * (history_words + 1) - beat_bytes - (word_bytes - grain))
    unshifted = vector(len(window) - lowest)

    if history_words:
        history = vector(word_bits * history_words)
        kept = len(history)

        @always_comb
        def look():
            window.next = concat(word, history)

        @always(clk.posedge)
        def remember():
            if word_there:
                history.next = window[kept + word_bits : word_bits]

        memory = (look, remember)
    else:

        @always_comb
        def look_only():
            window.next = word

        memory = (look_only,)

    @always_comb
    def trim():
        unshifted.next = window[:lowest]

    # A barrel shifter of whole grains: half a word, a quarter and so on, where the grain asks for them.
    stages = []
    aligned = unshifted
    for power in reversed(range(powers)):
        if 1 << power >= grain:
            stage_bits = bits + 8 * ((1 << power) - grain)
            shifted = vector(stage_bits)
            stages.append(shift_stage(aligned, ahead(power), shifted, 8 << power))
            aligned = shifted

    @always_comb
    def announce():
        completes.next = ahead < word_bytes

    @always(clk.posedge)
    def count():
        if restart:
            if narrow:
                ahead.next = narrow_start
            else:
                ahead.next = wide_start
        elif word_valid:
            if ahead >= word_bytes:
                ahead.next = ahead - word_bytes
            elif not narrow:
                ahead.next = ahead + wide_step

    @always(clk.posedge)
    def emit():
        beat_valid.next = word_valid and completes
        if narrow:
            beat.next = word
        else:
            beat.next = aligned

    return memory, trim, stages, announce, count, emit


@block
def shift_stage(source: Signal, shift: Signal, result: Signal, distance: int):
    """Drop the low `distance` bits of the source if `shift`, its high ones otherwise."""
    width = len(result)
    top = width + distance

    @always_comb
    def choose():
        if shift:
            result.next = source[top:distance]
        else:
            result.next = source[width:]

    return choose
