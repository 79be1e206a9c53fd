"""Units become entities of their own; what the HDLs cannot name or would start wrongly is refused with the reason."""

import re

import pytest
from myhdl import ConversionError, Signal, always, always_comb, block, intbv

from eie_hw.conversion.hierarchy import convert_hierarchy
from eie_hw.conversion.reserved_words import languages_reserving
from eie_hw.parts.entity import entity
from eie_hw.parts.interfaces import bit, vector


@block
def follower(clk, source, sink):
    @always(clk.posedge)
    def follow():
        sink.next = source

    return follow


@block
def pair_of_followers(clk, source, sink, wide_source, wide_sink):
    middle = vector(len(source))
    first = entity(follower(clk, source, middle))
    second = entity(follower(clk, middle, sink))
    wide = entity(follower(clk, wide_source, wide_sink))
    return first, second, wide


@block
def with_inner_name(clk, source, sink):
    others = bit()

    @always(clk.posedge)
    def follow():
        others.next = source
        sink.next = others

    return follow


@block
def with_port_name(clk, signal, sink):
    @always(clk.posedge)
    def follow():
        sink.next = signal

    return follow


@block
def wrapper(clk, source, sink):
    return with_inner_name(clk, source, sink)


@block
def with_start(clk, source, sink):
    held = Signal(intbv(3)[4:])

    @always(clk.posedge)
    def follow():
        held.next = source
        sink.next = held

    return follow


@block
def with_process_name(clk, source, sink):
    @always(clk.posedge)
    def sequence():
        sink.next = source

    return sequence


@block
def with_verilog_process_name(clk, source, sink):
    @always_comb
    def join():
        sink.next = source and not clk

    return join


@pytest.mark.parametrize("hdl, suffix", [("VHDL", ".vhd"), ("Verilog", ".v")])
def test_an_entity_is_written_once_for_each_width_and_before_its_users(hdl, suffix, tmp_path):
    top = pair_of_followers(bit(), vector(4), vector(4), vector(9), vector(9))
    files = convert_hierarchy(top, tmp_path, hdl, "top")
    assert [path.name for path in files] == [f"follower{suffix}", f"follower_2{suffix}", f"top{suffix}"]
    text = files[-1].read_text()
    assert len(re.findall(r"\bfollower\b(?! is)", text)) >= 2
    assert "follower_2" in text


@pytest.mark.parametrize("hdl", ["VHDL", "Verilog"])
@pytest.mark.parametrize(
    "unit, ports, reason",
    [
        (with_inner_name, 1, r"with_inner_name\d*(_\d+)?\.others is a reserved word of VHDL"),
        (wrapper, 1, r"with_inner_name\d*(_\d+)?\.others is a reserved word of VHDL"),
        (with_process_name, 1, r"with_process_name\d*(_\d+)?\.sequence is a reserved word of VHDL"),
        (with_verilog_process_name, 1, r"with_verilog_process_name\d*(_\d+)?\.join is a reserved word of Verilog"),
        (with_port_name, 1, r"(top|with_port_name\d*(_\d+)?)\.signal is a reserved word of VHDL"),
    ],
)
def test_a_reserved_word_as_a_name_is_refused_whichever_hdl_is_written(hdl, unit, ports, reason, tmp_path):
    with pytest.raises(ConversionError, match=reason):
        convert_hierarchy(unit(bit(), bit(), bit()), tmp_path, hdl, "top")
    assert list(tmp_path.iterdir()) == []


def test_a_reserved_word_as_an_entitys_name_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="array is a reserved word of VHDL"):
        convert_hierarchy(follower(bit(), vector(4), vector(4)), tmp_path, "Verilog", "array")


def test_a_register_that_does_not_start_at_zero_is_refused(tmp_path):
    with pytest.raises(ConversionError, match="held starts at"):
        convert_hierarchy(with_start(bit(), vector(4), vector(4)), tmp_path, "VHDL", "top")


@pytest.mark.parametrize(
    "name, hdls",
    [("others", ["VHDL"]), ("Others", ["VHDL"]), ("matches", ["Verilog"]), ("wait", ["VHDL", "Verilog"]), ("rest", [])],
)
def test_words_are_known_by_language(name, hdls):
    assert languages_reserving(name) == hdls
