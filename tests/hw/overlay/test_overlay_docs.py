"""The page on overlays states the boards as they are described."""

from pathlib import Path

import pytest

from eie.boards.board import board, board_names


@pytest.mark.parametrize("name", board_names())
def test_the_documentation_states_the_facts_of_the_board(name):
    described = board(name)
    text = (Path(__file__).parents[3] / "docs" / "overlay.md").read_text()
    row = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    facts = [described.title, described.part, str(described.config.num_pes), f"{described.clock_mhz:g} MHz"]
    facts += [
        f"0x{described.dma_address:08X}",
        f"0x{described.array_address:08X}",
        f"{described.memory_bytes >> 20} MiB",
    ]
    facts += [", ".join(described.pynq_versions), described.vivado_version]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [name, *facts]
