"""A register slice for a stream: breaks every combinational path between its two sides at full throughput."""

from __future__ import annotations

from myhdl import Signal, always, block, intbv

from eie_hw.interfaces import Stream, bit


@block
def stream_register(clk: Signal, reset: Signal, source: Stream, sink: Stream):
    """Two words deep stream register.

    **Ports**

    ======== === ==========================================
    clk      in
    reset    in  synchronous, active high; drops both words
    source   in  stream (`ready` is driven here)
    sink     out stream (`ready` is read here)
    ======== === ==========================================

    **Timing**: latency 1 cycle, one word a cycle. All outputs are registers; `source.ready` is low in reset.
    When the sink stalls, the word that is already on its way goes to the spare register::

        source  A  B  C  C  C  D
        ready   1  1  0  0  1  1
        sink    -  A  A  A  B  C
        ready   .  0  0  1  1  1
    """
    spare_full = bit()
    spare_last = bit()
    spare_data = Signal(intbv(0)[len(source.data) :])
    spare_keep = Signal(intbv(0)[len(source.keep) :])

    @always(clk.posedge)
    def move():
        if reset:
            source.ready.next = False
            sink.valid.next = False
            spare_full.next = False
        elif sink.ready or not sink.valid:
            source.ready.next = True
            spare_full.next = False
            if spare_full:
                sink.valid.next = True
            else:
                sink.valid.next = source.valid and source.ready
        elif source.valid and source.ready:
            source.ready.next = False
            spare_full.next = True
        else:
            source.ready.next = not spare_full

    @always(clk.posedge)
    def carry():
        if sink.ready or not sink.valid:
            if spare_full:
                sink.data.next = spare_data
                sink.keep.next = spare_keep
                sink.last.next = spare_last
            else:
                sink.data.next = source.data
                sink.keep.next = source.keep
                sink.last.next = source.last
        if source.ready:
            spare_data.next = source.data
            spare_keep.next = source.keep
            spare_last.next = source.last

    return move, carry
