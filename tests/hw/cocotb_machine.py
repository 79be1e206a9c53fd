"""Plays a script on the VHDL in GHDL; runs inside the simulator, started by test_vhdl.py.

The bus models are cocotbext-axi's. The environment gives the files of the script and of its results.
"""

from __future__ import annotations

import itertools
import json
import os
import pickle
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

INPUTS = (
    *("s_axis_tdata", "s_axis_tkeep", "s_axis_tlast", "s_axis_tvalid", "m_axis_tready"),
    *("s_axi_awaddr", "s_axi_awprot", "s_axi_awvalid", "s_axi_wdata", "s_axi_wstrb", "s_axi_wvalid"),
    *("s_axi_bready", "s_axi_araddr", "s_axi_arprot", "s_axi_arvalid", "s_axi_rready"),
)


def frames(words):
    """Return the packets of (data, keep, last) words."""
    data, keep = bytearray(), []
    for word, bits, last in words:
        data += word.to_bytes(8, "little")
        keep += [bits >> i & 1 for i in range(8)]
        if last:
            yield AxiStreamFrame(bytes(data), tkeep=keep)
            data, keep = bytearray(), []
    assert not data, "the last word of a packet has no tlast"


def pauses(probability, seed):
    generator = random.Random(seed)
    return (generator.random() < probability for _ in itertools.count())


@cocotb.test()
async def play(dut):
    """Play the steps and write what came out."""
    script = pickle.loads(Path(os.environ["EIE_SCRIPT"]).read_bytes())
    for name in INPUTS:
        getattr(dut, name).value = 0
    dut.aresetn.value = 0
    cocotb.start_soon(Clock(dut.aclk, 10, "ns").start())
    await ClockCycles(dut.aclk, 5)
    active_low = {"reset": dut.aresetn, "reset_active_level": False}
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, **active_low)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, **active_low)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk, **active_low)
    if script["pause"]:
        source.set_pause_generator(pauses(script["pause"], 1))
        sink.set_pause_generator(pauses(script["pause"], 2))
        interface = master.write_if, master.read_if
        channels = (
            *(interface[0].aw_channel, interface[0].w_channel, interface[0].b_channel),
            *(interface[1].ar_channel, interface[1].r_channel),
        )
        for seed, channel in enumerate(channels, 3):
            channel.set_pause_generator(pauses(script["pause"], seed))
    await ClockCycles(dut.aclk, 5)
    dut.aresetn.value = 1

    results = {"packets": [], "reads": [], "interrupts": []}
    for step in script["steps"]:
        match step:
            case ("send", words):
                for frame in frames(words):
                    source.send_nowait(frame)
            case ("sent",):
                await source.wait()
            case ("take", count):
                for _ in range(count):
                    frame = await sink.recv(compact=False)
                    assert all(frame.tkeep or [1]), "null bytes in a result"
                    results["packets"].append(bytes(frame.tdata).hex())
            case ("read", offset):
                response = await master.read(offset, 4)
                results["reads"].append(int.from_bytes(response.data, "little"))
            case ("write", offset, value):
                await master.write(offset, value.to_bytes(4, "little"))
            case ("drop",):
                for model in (source, sink):
                    model.assert_reset()
                    model.clear()
                await RisingEdge(dut.aclk)
            case ("cycles", count):
                await ClockCycles(dut.aclk, count)
            case ("interrupt",):
                results["interrupts"].append(bool(int(dut.interrupt.value)))
    Path(os.environ["EIE_RESULTS"]).write_text(json.dumps(results))
