"""The examples of docs/extending.md, as they stand there, in a copy of the packages."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/extending.md").read_text(encoding="utf-8")


def examples(section: str) -> dict[str, str]:
    """Return the examples of a section of the page by their titles."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)[1]
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', text, re.M | re.S))


class Copy:
    """A copy of the packages in which things may be added, and programs run on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for package, source in (("eie", "driver/eie"), ("eie_hw", "hw/eie_hw"), ("eie_overlays", "overlays")):
            shutil.copytree(ROOT / source, folder / package, ignore=shutil.ignore_patterns("__pycache__"))

    def insert(self, path: str, before: str, text: str) -> None:
        file = self.folder / path.removeprefix("driver/")
        parts = file.read_text(encoding="utf-8").split(before)
        assert len(parts) == 2, f"{before!r} is {len(parts) - 1} times in {path}"
        file.write_text(parts[0] + text + before + parts[1], encoding="utf-8")

    def run(self, *command: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        result = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


@pytest.fixture
def with_fill(copy):
    parts = examples("An instruction")
    isa, machine = "driver/eie/contract/isa.py", "driver/eie/devices/emulation/machine.py"
    copy.insert(isa, "INSTRUCTIONS = (", parts[isa] + "\n")
    copy.insert(isa, ")\nBY_OPCODE = ", "    FILL,\n")
    copy.insert(machine, "\n\n_EXECUTE: ", "\n" + parts[machine])
    copy.insert(machine, "    isa.STORE.name: ", "    isa.FILL.name: Machine._fill,\n")
    return copy


def test_the_instruction_is_executed_by_the_emulation(with_fill):
    program = examples("An instruction")["try it"]
    shown = re.search(r"# (\[.*\])", program)[1]
    assert with_fill.run("-c", program).strip() == shown


def test_the_instruction_is_on_its_page_and_in_the_build_hash(with_fill):
    assert "## FILL (0x15)" in with_fill.run("-m", "eie.contract.isa_page")
    program = "import eie; from eie.contract.registers import build_hash; print(build_hash(eie.ArrayConfig()))"
    plain = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert with_fill.run("-c", program) != plain


def test_the_hardware_checks_the_instruction_without_a_change(with_fill):
    tests = "tests/hw/shell/test_header_check.py::test_a_header_is_judged_as_described"
    chosen = [f"{tests}[FILL-{config}]" for config in ("4 PEs", "1 PE")]
    chosen.append("tests/driver/contract/test_isa.py::test_opcodes_differ")
    assert "3 passed" in with_fill.run("-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "-v", *chosen)


@pytest.fixture
def with_board(copy):
    [changes] = [json.loads(text) for title, text in examples("A board").items() if title.endswith("board.json")]
    board = json.loads((ROOT / "overlays/pynq-z2/board.json").read_text(encoding="utf-8")) | changes
    folder = copy.folder / "eie_overlays/my-board"
    folder.mkdir()
    (folder / "board.json").write_text(json.dumps(board), encoding="utf-8")
    return copy


def test_the_commands_know_the_board(with_board):
    outputs = []
    for command in examples("A board")["try it"].splitlines():
        name, *arguments = command.split()
        outputs.append(with_board.run(*(["-m", "eie"] if name == "eie" else []), *arguments))
    estimate, plan = outputs
    assert "on My board: 32 PEs" in estimate
    assert "eie-my-board.bit" in plan
    assert "32 PEs" in plan
