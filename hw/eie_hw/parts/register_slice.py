"""A register slice: breaks every combinational path between two units that hand over words, at full throughput."""

from __future__ import annotations

from myhdl import Signal, always, block

from eie_hw.parts.interfaces import bit, vector


@block
def register_slice(
    clk: Signal,
    reset: Signal,
    source_valid: Signal,
    source: Signal,
    source_ready: Signal,
    sink_valid: Signal,
    sink: Signal,
    sink_ready: Signal,
):
    """Two words deep register.

    **Ports**

    ============ === ========================================
    clk          in
    reset        in  synchronous, active high; drops both words
    source_valid in  a word is offered: `source`
    source_ready out it is taken
    sink_valid   out a word is offered: `sink`
    sink_ready   in  it is taken
    ============ === ========================================

    **Timing**: latency 1 cycle, one word a cycle. All outputs are registers; `source_ready` is low in reset.
    When the sink stalls, the word that is already on its way goes to the spare register::

        source  A  B  C  C  C  D
        ready   1  1  0  0  1  1
        sink    -  A  A  A  B  C
        ready   .  0  0  1  1  1
    """
    spare_full = bit()
    spare = vector(len(source))

    # An expression each: of branches enables and resets of the flip-flops would be made, which must be there earlier
    # than their data.
    @always(clk.posedge)
    def move():
        sink_valid.next = not reset and (
            (sink_valid and not sink_ready) or spare_full or (source_valid and source_ready)
        )
        spare_full.next = (
            not reset and sink_valid and not sink_ready and (spare_full or (source_valid and source_ready))
        )
        source_ready.next = not reset and not (
            sink_valid and not sink_ready and (spare_full or (source_valid and source_ready))
        )

    @always(clk.posedge)
    def carry():
        if sink_ready or not sink_valid:
            if spare_full:
                sink.next = spare
            else:
                sink.next = source
        if source_ready:
            spare.next = source

    return move, carry
