"""The top level: an EIE array between AXI4-Stream, AXI4-Lite and an interrupt."""

from __future__ import annotations

from collections.abc import Callable

from myhdl import ResetSignal, Signal, always, always_comb, block
from myhdl._block import _Block

from eie.contract.config import ArrayConfig
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import (
    ActivationRead,
    AxiLite,
    ComputeCommand,
    CounterRead,
    ElementwiseCommand,
    FormatCommand,
    LoadBus,
    MachineStatus,
    ReadCommand,
    Status,
    StoreCommand,
    Stream,
    WideCounters,
    bit,
    vector,
)
from eie_hw.shell.axi_lite import axi_lite
from eie_hw.shell.control_unit import control_unit
from eie_hw.shell.cycle_counters import cycle_counters
from eie_hw.shell.result_stream import result_stream
from eie_hw.shell.stream_register import stream_register

RESET_CYCLES = 16
"""Length of a reset inside, so that pipelines without reset of their own run empty."""


def new_top(config: ArrayConfig, array: Callable) -> _Block:
    """Return a top level with signals of its own, to be converted."""
    s_axis, m_axis, s_axi = Stream(config.stream_bits), Stream(), AxiLite()
    return eie_top(
        bit(), bit(), *stream_ports(s_axis), *stream_ports(m_axis), *vars(s_axi).values(), bit(), config, array
    )


def stream_ports(stream: Stream) -> list[Signal]:
    """Return a stream's signals in the order of the top level's ports."""
    return [stream.data, stream.keep, stream.last, stream.valid, stream.ready]


@block
def eie_top(
    aclk: Signal,
    aresetn: Signal,
    s_axis_tdata: Signal,
    s_axis_tkeep: Signal,
    s_axis_tlast: Signal,
    s_axis_tvalid: Signal,
    s_axis_tready: Signal,
    m_axis_tdata: Signal,
    m_axis_tkeep: Signal,
    m_axis_tlast: Signal,
    m_axis_tvalid: Signal,
    m_axis_tready: Signal,
    s_axi_awaddr: Signal,
    s_axi_awprot: Signal,
    s_axi_awvalid: Signal,
    s_axi_awready: Signal,
    s_axi_wdata: Signal,
    s_axi_wstrb: Signal,
    s_axi_wvalid: Signal,
    s_axi_wready: Signal,
    s_axi_bresp: Signal,
    s_axi_bvalid: Signal,
    s_axi_bready: Signal,
    s_axi_araddr: Signal,
    s_axi_arprot: Signal,
    s_axi_arvalid: Signal,
    s_axi_arready: Signal,
    s_axi_rdata: Signal,
    s_axi_rresp: Signal,
    s_axi_rvalid: Signal,
    s_axi_rready: Signal,
    interrupt: Signal,
    config: ArrayConfig,
    array: Callable,
):
    """The accelerator.

    s_axis, of `stream_bits`, takes packets of whole instructions, m_axis, of 64 bits, returns the activations of READs,
    s_axi is the register map, interrupt is a level. All run on aclk; aresetn is synchronous and active low. Nothing has
    to be started: instructions run as they arrive. The host resets its DMA before a soft reset: what is under way is
    dropped on both streams, and the first flit after the reset begins with a header.
    """
    reset = ResetSignal(0, active=1, isasync=False)
    array_reset = ResetSignal(0, active=1, isasync=False)
    bus_reset = bit()
    reset_cycle = vector(RESET_CYCLES.bit_length())
    soft_reset = bit()
    all_idle = bit()
    results_empty = bit()
    packet_sent = bit()
    incoming, instructions = Stream(config.stream_bits), Stream(config.stream_bits)
    results, outgoing = Stream(), Stream()
    load = LoadBus(config)
    compute, store, read, form = ComputeCommand(), StoreCommand(), ReadCommand(), FormatCommand()
    element = ElementwiseCommand()
    activation_read = ActivationRead()
    counters = CounterRead()
    status = Status(config)
    machine = MachineStatus()
    wide = WideCounters()
    bus = AxiLite()

    @always(aclk.posedge)
    def stretch_reset():
        bus_reset.next = not aresetn
        if not aresetn or soft_reset:
            reset.next = True
            reset_cycle.next = 0
        elif reset_cycle == RESET_CYCLES:
            reset.next = False
        else:
            reset_cycle.next = reset_cycle + 1

    # A copy, so that no register drives the resets of all units. It is a cycle later, which nobody minds: until it ends
    # the array says that it is clearing.
    @always(aclk.posedge)
    def copy_reset():
        array_reset.next = reset

    @always_comb
    def receive():
        incoming.data.next = s_axis_tdata
        incoming.keep.next = s_axis_tkeep
        incoming.last.next = s_axis_tlast
        incoming.valid.next = s_axis_tvalid and not reset
        s_axis_tready.next = incoming.ready and not reset

    @always_comb
    def transmit():
        m_axis_tdata.next = outgoing.data
        m_axis_tkeep.next = outgoing.keep
        m_axis_tlast.next = outgoing.last
        m_axis_tvalid.next = outgoing.valid
        outgoing.ready.next = m_axis_tready
        packet_sent.next = outgoing.valid and outgoing.last and m_axis_tready

    @always_comb
    def connect_bus():
        bus.awaddr.next = s_axi_awaddr
        bus.awprot.next = s_axi_awprot
        bus.awvalid.next = s_axi_awvalid
        s_axi_awready.next = bus.awready
        bus.wdata.next = s_axi_wdata
        bus.wstrb.next = s_axi_wstrb
        bus.wvalid.next = s_axi_wvalid
        s_axi_wready.next = bus.wready
        s_axi_bresp.next = bus.bresp
        s_axi_bvalid.next = bus.bvalid
        bus.bready.next = s_axi_bready
        bus.araddr.next = s_axi_araddr
        bus.arprot.next = s_axi_arprot
        bus.arvalid.next = s_axi_arvalid
        s_axi_arready.next = bus.arready
        s_axi_rdata.next = bus.rdata
        s_axi_rresp.next = bus.rresp
        s_axi_rvalid.next = bus.rvalid
        bus.rready.next = s_axi_rready

    @always_comb
    def summarise():
        all_idle.next = machine.idle and results_empty and not outgoing.valid and not status.clearing and not reset

    units = [
        entity(stream_register(aclk, reset, incoming, instructions)),
        entity(
            control_unit(
                aclk, reset, instructions, status.clearing, load, compute, store, read, form, element, machine, config
            )
        ),
        array(aclk, array_reset, load, compute, store, form, element, activation_read, counters, status, config),
        entity(result_stream(aclk, reset, read, activation_read, results, results_empty, config)),
        entity(stream_register(aclk, reset, results, outgoing)),
        entity(
            cycle_counters(
                aclk,
                reset,
                counters.clear,
                all_idle,
                machine.stalled,
                status,
                wide,
            )
        ),
        entity(
            axi_lite(
                aclk, bus_reset, bus, machine, all_idle, wide, counters, packet_sent, soft_reset, interrupt, config
            )
        ),
    ]
    return stretch_reset, copy_reset, receive, transmit, connect_bus, summarise, units
