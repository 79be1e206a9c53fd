"""The device at hand: which one it is, and how a board's overlay is found."""

import importlib.util

import pytest

import eie
from eie.boards.board import board_names, shipped_overlays
from eie.devices import choice
from eie.errors import DeviceError, MissingExtraError

HAS_PYNQ = importlib.util.find_spec("pynq") is not None


@pytest.mark.skipif(HAS_PYNQ, reason="pynq is installed here; tests/pynq has what happens then")
def test_without_pynq_the_device_at_hand_is_the_emulation():
    assert isinstance(eie.Accelerator("auto").device, eie.EmulatedDevice)


@pytest.mark.skipif(HAS_PYNQ, reason="pynq is installed here; tests/pynq has what happens then")
@pytest.mark.parametrize("ask", [lambda: eie.PynqDevice("eie.bit"), lambda: eie.Accelerator("eie.bit")])
def test_without_pynq_a_board_is_an_error_that_says_what_is_missing(ask):
    with pytest.raises(MissingExtraError, match=r"reached through pynq .*docs/virtual-board.md"):
        ask()


@pytest.fixture
def marker(tmp_path, monkeypatch):
    """Where the image's own statement of the board is looked for; there is none yet."""
    monkeypatch.setattr(choice, "_MARKER", tmp_path / "pynq_board")
    monkeypatch.delenv("BOARD", raising=False)
    return tmp_path / "pynq_board"


@pytest.mark.parametrize(
    ("stated", "name"), [("Pynq-Z2", "pynq-z2"), ("Pynq-Z1", "pynq-z1"), ("ZCU104", "zcu104"), ("KV260", "kv260")]
)
def test_a_board_is_known_by_the_image_or_the_variable(marker, monkeypatch, stated, name):
    assert choice.this_board() is None
    monkeypatch.setenv("BOARD", stated)
    assert choice.this_board() == name
    monkeypatch.delenv("BOARD")
    marker.write_bytes(stated.encode() + b"\0")
    assert choice.this_board() == name


def test_a_variable_of_other_software_makes_no_board_but_the_image_states_any(marker, monkeypatch):
    monkeypatch.setenv("BOARD", "nucleo_f401re")
    assert choice.this_board() is None
    marker.write_bytes(b"Genesys-ZU\0")
    assert choice.this_board() == "genesys-zu"


def test_an_overlay_of_the_working_directory_is_taken_only_where_it_is_named(tmp_path, monkeypatch):
    installed, here = tmp_path / "installed", tmp_path / "here"
    for folder in (installed / "pynq-z2", here):
        folder.mkdir(parents=True)
    monkeypatch.setattr(choice, "shipped_overlays", lambda: installed)
    monkeypatch.chdir(here)
    (here / "eie-pynq-z2.bit").touch()
    with pytest.raises(DeviceError, match=r'the working directory is eie.Accelerator\("eie-pynq-z2.bit"\)'):
        choice.find_overlay("pynq-z2")
    (installed / "pynq-z2" / "eie-pynq-z2.bit").touch()
    assert choice.find_overlay("pynq-z2") == installed / "pynq-z2" / "eie-pynq-z2.bit"


@pytest.mark.parametrize("name", [*board_names(), "genesys-zu"])
def test_a_board_without_an_overlay_is_told_where_it_was_looked_for_and_what_to_do(tmp_path, monkeypatch, name):
    monkeypatch.setattr(choice, "shipped_overlays", lambda: tmp_path / "installed")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DeviceError) as error:
        choice.find_overlay(name)
    for part in (
        f"eie-{name}.bit",
        str(tmp_path),
        "scripts/build_overlay.py",
        "pynq-z2",
        'eie.Accelerator("emulated")',
    ):
        assert part in str(error.value)


def test_the_installed_overlays_lie_where_the_board_descriptions_are():
    assert (shipped_overlays() / "pynq-z2" / "board.json").exists()
