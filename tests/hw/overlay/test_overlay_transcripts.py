"""docs/overlay-transcripts.md is what scripts/build_overlay.py prints."""

import importlib.util
import re
from pathlib import Path

import pytest
from tests.hw.overlay_bench import needs_tclsh, stub_converter

from eie.boards.board import board, board_names
from eie.boards.fpga import device_of
from eie_hw.conversion.convert import convert

ROOT = Path(__file__).parents[3]

pytestmark = needs_tclsh


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("overlay_transcripts", ROOT / "scripts" / "overlay_transcripts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def text(generator):
    return generator.PAGE.read_text(encoding="utf-8")


def test_the_page_is_what_the_command_prints_today(generator, text):
    printed = generator.page(stub_converter)
    assert generator.without_counts(text) == generator.without_counts(printed), (
        "docs/overlay-transcripts.md is out of date: python scripts/overlay_transcripts.py"
    )


def test_every_board_is_shown_with_and_without_vivado(text):
    for name in board_names():
        assert text.count(f"$ python scripts/build_overlay.py --board {name}\n") >= 2
        assert f"built: out/overlay-{name}/eie-{name}.bit" in text
        assert f"python overlay-{name}/build.py" in text


def test_the_page_names_no_path_of_the_machine_that_wrote_it(text):
    assert not re.search(r"/(tmp|home|root|work)/", text)


@pytest.mark.full
def test_the_number_of_files_is_that_of_the_conversion(text, tmp_path):
    numbers = {}
    for name in board_names():
        array = board(name).config, device_of(board(name).part).family
        if array not in numbers:
            numbers[array] = len(convert(array[0], tmp_path / name, target=array[1]))
        shown = text.partition(f"## {board(name).title}\n")[2].partition("\n## ")[0]
        assert set(re.findall(r"written: (\d+) VHDL", shown)) == {str(numbers[array])}, name
