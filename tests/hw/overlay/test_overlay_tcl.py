"""Quoting: what goes into a Tcl script comes out of Tcl as it was."""

import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.hw.overlay_bench import TCLSH, needs_tclsh

from eie_hw.overlay.tcl import command, quote, quoted_list

NASTY = [
    "",
    " ",
    "a b",
    "[exit 3]",
    "$env(HOME)",
    "${x}",
    "\\",
    "a\\",
    "\\n",
    "{",
    "}",
    "a}b{",
    '"',
    '"; exit 4; "',
    "#x",
    "-force",
    "line\nbreak\r\ttab",
    "grün",
    "面0",
    "\u00e91234",
    "\ufffd",
    "\x01\x7f\x1b",
    "a;b",
]
texts = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
snippets = st.lists(st.sampled_from(["[", "]", "{", "}", "$", "\\", '"', " ", ";", "#", "é", "a"]), max_size=12)


def through_tcl(script):
    """Run a script, and return the values that it passes to `show`."""
    show = "proc show {value} {puts x[binary encode hex [encoding convertto utf-8 $value]]}\n"
    run = subprocess.run([TCLSH], input=(show + script).encode("ascii"), capture_output=True, timeout=20)
    assert run.returncode == 0, run.stderr
    return [bytes.fromhex(line[1:]).decode() for line in run.stdout.decode().split()]


@needs_tclsh
@settings(max_examples=60)
@given(st.lists(texts | snippets.map("".join), min_size=1, max_size=20))
@example(NASTY)
def test_any_text_comes_back_from_tcl_unchanged(values):
    plain = "".join(f"show {quote(value)}\n" for value in values)
    assert through_tcl(plain) == values
    in_body = f"proc body {{}} {{\n    foreach value {quoted_list(values)} {{show $value}}\n}}\nbody\n"
    assert through_tcl(in_body) == values


@needs_tclsh
def test_a_command_has_as_many_words_as_it_was_given():
    assert through_tcl(f"proc count args {{show [llength $args]}}\n{command('count', *NASTY)}\n") == [str(len(NASTY))]


def test_plain_names_stay_readable():
    assert command("eie::map", "axi_dma_0/S_AXI_LITE/Reg", 0x10000) == "eie::map axi_dma_0/S_AXI_LITE/Reg 65536"


@pytest.mark.parametrize("text", ["\0", "\ud800", "\U0001f600"])
def test_text_that_tcl_8_cannot_hold_is_refused_by_its_code(text):
    with pytest.raises(ValueError, match=rf"U\+{ord(text):04X}"):
        quote(text)
