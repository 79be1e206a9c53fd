"""A register slice for a stream."""

from __future__ import annotations

from myhdl import Signal, always_comb, block, concat

from eie_hw.parts.interfaces import Stream, vector
from eie_hw.parts.register_slice import register_slice


@block
def stream_register(clk: Signal, reset: Signal, source: Stream, sink: Stream):
    """A `register_slice` for whole stream words: data, keep and last.

    **Ports**

    ======== === ==========================================
    clk      in
    reset    in  synchronous, active high; drops both words
    source   in  stream (`ready` is driven here)
    sink     out stream (`ready` is read here)
    ======== === ==========================================

    **Timing**: that of `register_slice`.
    """
    data_bits = len(source.data)
    keep_bits = len(source.keep)
    word_bits = 1 + keep_bits + data_bits
    word, held = vector(word_bits), vector(word_bits)

    @always_comb
    def assemble():
        word.next = concat(source.last, source.keep, source.data)

    between = register_slice(clk, reset, source.valid, word, source.ready, sink.valid, held, sink.ready)

    @always_comb
    def split():
        sink.data.next = held[data_bits:]
        sink.keep.next = held[data_bits + keep_bits : data_bits]
        sink.last.next = held[word_bits - 1]

    return assemble, between, split
