"""Text for a terminal: letters stay, what would steer it does not."""

import numpy as np
import pytest

import eie
from eie.cli import main
from eie.errors import EieError
from eie.text import columns, printable, printable_lines

HOSTILE = "\x1b]0;owned\x07 \x9b2J \u202e\u2066 \u200b \ud800 \r"


def test_letters_of_every_script_stay_and_nothing_else_steers():
    assert printable("größe 漢字 עברית 😀") == "größe 漢字 עברית 😀"
    shown = printable(HOSTILE)
    assert shown.isprintable() and r"\x1b]0;owned\x07" in shown and r"\u202e" in shown and r"\ud800" in shown
    assert printable("a\nb") == r"a\nb" and printable_lines("a\x1b\nb") == "a\\x1b\nb"


def test_errors_are_harmless_as_text():
    assert str(EieError(f"a {HOSTILE}\nb")).replace("\n", "").isprintable()


@pytest.mark.parametrize("command", ["info m.eie", "run m.eie x.npy", "verify m.eie --inputs 2", "estimate m.eie"])
def test_names_and_metadata_of_a_file_do_not_steer_the_terminal(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    name = HOSTILE.replace("\ud800", "")
    layer = eie.Layer.from_dense_codes(np.ones((4, 3), int), np.arange(16), name=name)
    eie.save(eie.Model([layer], name, {name: name, "origin": {name: [name]}}), "m.eie")
    np.save("x.npy", np.ones((1, 3), np.float32))
    assert main(command.split()) == 0
    out, err = capsys.readouterr()
    assert out and (out + err).replace("\n", "").isprintable()


def test_columns_are_as_wide_as_their_widest_cell_the_first_to_the_left():
    assert columns([("layer", "size", ""), ("a", "1,000", "memory")]) == ["layer   size", "a      1,000  memory"]
    assert columns([("a", "b"), ("long", "longer")], left=2) == ["a     b", "long  longer"]
