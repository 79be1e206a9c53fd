"""The benchmark of recurrent layers: a table whose figures are those of a run."""

import importlib
from pathlib import Path

import pytest

from eie.boards.board import board

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_a_small_network_has_its_row(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(SCRIPTS)
    bench = importlib.import_module("bench_recurrent")
    cells = [cell.strip() for cell in bench.row(bench.NETWORKS["small"], board("pynq-z2"), 8).split("|")[1:-1]]
    assert cells[:3] == ["GRU 16 -> 32 x 2", "100%", "2"]
    assert float(cells[3].removesuffix(" dB")) >= 40
    each, arithmetic = (int(cell.replace(",", "")) for cell in (cells[4], cells[6]))
    assert each > arithmetic > 64, "more than a broadcast of every input and state"
