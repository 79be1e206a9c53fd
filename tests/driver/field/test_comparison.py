"""Our rows are computed, theirs have a source, and the page says which is which."""

from pathlib import Path

import pytest

import eie
from eie.boards.board import board
from eie.field.comparison import BOARDS, REMARKS, TITLES, compute, markdown
from eie.field.networks import ANOMALIES, SEED, TASKS, chain
from eie.field.published import BOARD_POWER, ROWS

PAGE = Path(__file__).parents[3] / "docs/field.md"


@pytest.fixture(scope="module")
def rows():
    return compute(tasks=[task for task in TASKS if task.network.startswith("hls4ml")])


def test_a_row_is_what_the_estimate_says(rows):
    assert [row.board for row in rows] == [board(name).title for name in BOARDS]
    expected = eie.estimate(chain("AD08", ANOMALIES, 1.0), "pynq-z2", density=1.0, seed=SEED)
    assert rows[0].rate == expected.frames_per_second
    assert rows[0].latency_us == expected.latency_microseconds


def test_who_is_ahead_on_the_pynq_z2_is_who_the_remarks_name(rows):
    ours = {row.network: row.rate for row in [*rows, *compute(tasks=[t for t in TASKS if t.task == "keywords"])][::3]}
    theirs = {row.engine: row.rate for row in ROWS if row.board.startswith("PYNQ-Z2")}
    assert ours["FINN's, dense"] < theirs["FINN W3A3"] < ours["FINN's, half pruned"]
    assert ours["hls4ml's AD08, dense"] > theirs["hls4ml AD08"]


def test_energy_is_the_published_power_of_the_board_over_the_rate(rows):
    low, high = BOARD_POWER["PYNQ-Z2"].watts
    assert 1.5 < low < high < 2.0
    for row in ROWS:
        if row.board.startswith("PYNQ-Z2") and row.microjoules:
            assert low <= 1e-6 * row.microjoules * row.rate <= high, row.engine
    for row in rows:
        power = BOARD_POWER[row.board]
        assert power.source
        assert row.microjoules == pytest.approx([1e6 * watts / row.rate for watts in power.watts])


def test_every_task_has_rows_of_both_sides_and_a_remark():
    assert {task.task for task in TASKS} == {row.task for row in ROWS} == set(TITLES) == set(REMARKS)
    assert all(row.source for row in ROWS)


def test_the_page_marks_what_is_simulated_and_names_every_source(rows):
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("**EIE, simulated**") == len(TASKS) * len(BOARDS)
    assert all(row.source in page for row in ROWS)
    text = markdown(rows)
    assert page.partition("## ")[0] == text.partition("## ")[0], "run: eie field -o docs/field.md"


@pytest.mark.full
def test_the_page_is_what_the_command_computes():
    assert PAGE.read_text(encoding="utf-8") == markdown(compute()), "run: eie field -o docs/field.md"
