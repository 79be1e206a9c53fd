"""`eie doctor` and `eie virtual-board` with pynq: a healthy board, and each fault that a doctor should find."""

import dataclasses
import json
from pathlib import Path

import pytest

from eie.boards.board import board
from eie.boards.overlay_files import bit_bytes
from eie.cli import main
from eie.contract import registers
from eie.devices.virtual import Fault, VirtualBoard
from eie.devices.virtual.overlay import write_overlay
from eie.doctor import environment
from eie.doctor.check import FAIL, OK, SKIPPED
from eie.doctor.diagnose import diagnose
from tests.pynq.networks import CONFIG


def by_name(checks):
    return {check.name: check for check in checks}


def failed(overlay):
    """Return the only check of an overlay that fails."""
    wrong = [check for check in diagnose(str(overlay)) if check.status == FAIL]
    assert len(wrong) == 1, wrong
    assert wrong[0].remedy
    return wrong[0]


def write_transcript(virtual, **changes):
    described = virtual.board
    values = {"hash": f"0x{registers.build_hash(described.config):08x}", "array": described.config.to_dict()}
    Path(virtual.bitfile).with_suffix(".json").write_text(json.dumps(values | changes))


def test_a_healthy_board_has_nothing_wrong(board_name, capsys):
    assert main(["doctor", "--virtual-board", board_name, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    checks = {check["name"]: check for check in result["checks"]}
    assert result["healthy"]
    assert {checks[name]["status"] for name in ("pynq", "board", "overlay", "build hash", "chip", "array")} == {OK}
    assert "160 outputs equal the reference" in checks["self-test"]["found"]


def test_an_overlay_given_by_its_path_is_checked_with_its_transcript(virtual, capsys):
    write_transcript(virtual)
    assert main(["doctor", "--overlay", virtual.bitfile]) == 0
    out = capsys.readouterr().out
    assert (
        "build hash" in out
        and f"0x{registers.build_hash(CONFIG):08x}, as {virtual.board.overlay_name}.json says" in out
    )
    assert "nothing is wrong" in out


def test_a_stale_hwh_is_found(small_board):
    other = dataclasses.replace(small_board, config=dataclasses.replace(CONFIG, rows=32))
    with VirtualBoard(small_board, hwh=other) as virtual:
        check = failed(virtual.bitfile)
    assert check.name == "overlay" and ".hwh is stale" in check.found and other.design_name in check.found


def test_a_missing_overlay_and_a_missing_hwh_are_found(virtual, tmp_path):
    assert "does not exist" in failed(tmp_path / "no.bit").found
    Path(virtual.bitfile).with_suffix(".hwh").unlink()
    assert ".hwh is missing" in failed(virtual.bitfile).found


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"hash": "0x00000001"}, "is of build 0x00000001"),
        ({"hash": "not a number"}, "is damaged"),
        ({"array": {"num_pes": 3}}, "is damaged"),
        ({"array": {"num_pes": 8}}, "this version of the driver gives the same parameters"),
    ],
)
def test_a_transcript_that_is_not_the_overlays_is_found(virtual, changes, found):
    write_transcript(virtual, **changes)
    check = failed(virtual.bitfile)
    assert check.name == "build hash" and found in check.found


def test_an_array_of_another_build_than_the_files_say_is_found(small_board):
    with VirtualBoard(small_board) as virtual:
        other = dataclasses.replace(small_board, config=dataclasses.replace(CONFIG, rows=32))
        write_overlay(other, Path(virtual.bitfile))
        check = failed(virtual.bitfile)
    assert check.name == "device" and "the loaded array is build" in check.found


@pytest.mark.parametrize(
    ("fault", "name", "found"),
    [
        (Fault("slave_error", "send", 4), "transfer", "DMASlvErr"),
        (Fault("flip", "receive", 4), "transfer", "1 of 512 words came back other than they were sent"),
    ],
)
def test_a_dma_that_fails_and_a_word_that_is_damaged_are_found(monkeypatch, small_board, fault, name, found):
    if fault.kind == "flip":
        found = found.replace("512", str(CONFIG.activation_groups * CONFIG.words_per_group))
    with VirtualBoard(small_board) as virtual:
        virtual.inject(fault)
        check = failed(virtual.bitfile)
        assert virtual.memory.allocations == 0
    assert check.name == name and found in check.found


def test_a_file_that_is_of_another_chip_is_found(small_board, monkeypatch):
    with VirtualBoard(small_board) as virtual:
        foreign = dataclasses.replace(small_board, part="xc7z045ffg900-2")
        write_overlay(foreign, Path(virtual.bitfile))
        monkeypatch.setattr("eie.devices.choice.this_board", lambda: small_board.name)
        check = failed(virtual.bitfile)
    assert check.name == "chip" and small_board.part in check.found and small_board.overlay_name in check.remedy


def test_a_bit_without_a_header_cannot_be_compared_and_is_used(virtual):
    Path(virtual.bitfile).write_bytes(bit_bytes("x", "y", "z", b"")[-4:])
    check = by_name(diagnose(virtual.bitfile))["overlay"]
    assert check.status == SKIPPED and "has no header" in check.found


def test_versions_that_break_pynq_are_found_with_what_to_install(monkeypatch, virtual):
    version = environment.metadata.version
    monkeypatch.setattr(environment.metadata, "version", lambda name: "99.1" if name == "setuptools" else version(name))
    check = failed(virtual.bitfile)
    assert check.found == "99.1 (<=80)" and 'pip install "setuptools<=80"' in check.remedy


def test_a_board_that_the_installed_pynq_no_longer_supports_is_found(monkeypatch, virtual):
    monkeypatch.setattr("eie.devices.choice.this_board", lambda: virtual.board.name)
    version = environment.metadata.version
    monkeypatch.setattr(environment.metadata, "version", lambda name: "9.0" if name == "pynq" else version(name))
    wrong = {check.name for check in diagnose(virtual.bitfile) if check.status == FAIL}
    assert wrong == {"pynq", "board's pynq"}


def test_the_command_virtual_board_runs_the_demonstration(board_name, capsys):
    assert main(["virtual-board", "--board", board_name, "--images", "20"]) == 0
    out = capsys.readouterr().out
    assert board(board_name).title in out
    assert "every output equals the integer reference" in out and "same outputs" in out
