"""`eie doctor` off the board, without pynq: what can be checked, what is skipped and why."""

import json

import numpy as np
import pytest

import eie
from eie.boards.pynq_versions import PINS, install_commands
from eie.cli import main
from eie.contract import isa, registers
from eie.doctor import diagnose as doctor
from eie.doctor import environment
from eie.doctor.check import FAIL, OK, SKIPPED
from eie.doctor.diagnose import diagnose


@pytest.fixture(autouse=True)
def without_pynq(monkeypatch):
    """As where pynq is not installed, which is apart from whatever is installed here."""
    for module in (doctor, environment):
        monkeypatch.setattr(module, "has_pynq", lambda: False)
    monkeypatch.delenv("BOARD", raising=False)


def by_name(checks):
    return {check.name: check for check in checks}


class Device(eie.EmulatedDevice):
    """An emulated array with a fault."""

    def __init__(self, fault):
        super().__init__(eie.ArrayConfig(num_pes=16))
        self.fault = fault
        self.closed = False

    def receive(self, nbytes):
        received = super().receive(nbytes)
        if self.fault == "damage" and len(received):
            received = received.copy()
            received[100] ^= 4
        if self.fault == "nothing comes":
            return received[:0]
        return received

    def read_register(self, offset):
        if self.fault == "another build" and offset == registers.offset("hash"):
            return 1
        if self.fault == "no errors" and offset == registers.offset("status"):
            return registers.STATUS_IDLE
        return super().read_register(offset)

    def step(self, decoded, payload, state):
        super().step(decoded, payload, state)
        if self.fault == "wrong sums" and decoded.instruction is isa.STORE:
            state.activations[:, decoded.values["address"], 0] += 1

    def close(self):
        self.closed = True


def test_off_the_board_the_emulation_is_tested_and_the_rest_says_why_it_is_skipped(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.rstrip().endswith("nothing is wrong")
    checks = by_name(diagnose("emulated"))
    assert {checks[name].status for name in ("Python", "numpy", "array", "transfer", "errors", "self-test")} == {OK}
    assert {checks[name].status for name in ("pynq", "board", "overlay")} == {SKIPPED}
    assert "eie virtual-board says how to install it" in checks["pynq"].remedy
    assert all(check.found in out and check.remedy in out for check in checks.values() if check.status == SKIPPED)


@pytest.mark.parametrize(
    ("fault", "name", "found"),
    [
        ("another build", "array", "build hash 0x00000001, this version of the driver expects"),
        ("damage", "transfer", "1 of 2048 words came back other than they were sent"),
        ("nothing comes", "transfer", "2048 of 2048 words"),
        ("no errors", "errors", "a bad instruction gave 'no error'"),
        ("wrong sums", "self-test", "the reference"),
    ],
)
def test_a_fault_of_the_device_is_found_and_the_device_is_closed(monkeypatch, capsys, fault, name, found):
    device = Device(fault)
    monkeypatch.setattr(doctor, "device_by_name", lambda name: device)
    assert main(["doctor", "--device", "rtl", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    wrong = [check for check in result["checks"] if check["status"] == FAIL]
    assert not result["healthy"]
    assert [check["name"] for check in wrong] == [name]
    assert found in wrong[0]["found"] and wrong[0]["remedy"]
    assert device.closed


def test_a_healthy_device_passes_the_same_tests(monkeypatch):
    monkeypatch.setattr(doctor, "device_by_name", lambda name: Device(None))
    assert all(check.status != FAIL for check in diagnose("rtl"))


def test_an_overlay_without_pynq_fails_with_where_to_get_it(tmp_path, capsys, monkeypatch):
    from eie.boards.board import board
    from eie.devices.virtual.overlay import write_overlay

    bitfile = tmp_path / "eie-pynq-z2.bit"
    write_overlay(board("pynq-z2"), bitfile)

    def missing(name):
        raise eie.EieError(f"device {name!r} needs pynq")

    monkeypatch.setattr(doctor, "device_by_name", missing)
    assert main(["doctor", "--overlay", str(bitfile)]) == 1
    out = capsys.readouterr().out
    assert "OK       overlay" in out and "needs pynq" in out
    assert "1 of " in out and "checks failed" in out


@pytest.mark.parametrize(
    ("version", "good"), [("1.20.3", False), ("1.21.0", True), ("1.26.4", True), ("2.4.0rc1", True)]
)
def test_a_numpy_that_is_too_old_is_found(monkeypatch, version, good):
    monkeypatch.setattr(np, "__version__", version)
    check = by_name(diagnose("emulated"))["numpy"]
    assert (check.status == OK) == good
    assert good or 'pip install "numpy>=1.21"' in check.remedy


def test_the_oldest_numpy_is_the_one_that_the_package_asks_for():
    from importlib import metadata
    from pathlib import Path

    root = Path(__file__).parents[3]
    assert f'"numpy>={".".join(map(str, environment.OLDEST_NUMPY))}"' in (root / "setup.py").read_text()
    assert metadata.version("numpy")


def test_docs_and_test_script_pin_what_the_doctor_checks():
    from pathlib import Path

    root = Path(__file__).parents[3]
    for package, limit, _ in PINS:
        assert f"{package}{limit}" in (root / "scripts" / "set_up_pynq.py").read_text()
    for command in install_commands():
        assert command in (root / "docs" / "virtual-board.md").read_text()


def test_extras_that_are_missing_are_skipped_with_how_to_install_them(monkeypatch):
    lines = ["numpy>=1.21", 'nosuchpackage>=1; extra == "plots"', 'numpy; extra == "fast"', 'x; extra == "test"']
    monkeypatch.setattr(environment.metadata, "requires", lambda name: lines)
    checks = by_name(diagnose("emulated"))
    assert checks["extra plots"].status == SKIPPED and "nosuchpackage" in checks["extra plots"].found
    assert checks["extra plots"].remedy.endswith("pip install 'eie-pynq[plots]'")
    assert checks["extra fast"].status == OK
    assert "extra test" not in checks
