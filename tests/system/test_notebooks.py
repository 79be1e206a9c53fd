"""The notebooks: each runs from top to bottom on the emulation, and shows what its text says.

scripts/check_board.sh runs the same on the virtual board, delivered as on a board.
"""

import json
import re
from pathlib import Path

import pytest
from tests.keywords import KEYWORDS

from eie.boards.board import shipped_overlays

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = [path.stem for path in NOTEBOOKS]

# What a reader must find in the outputs, and how many figures.
SHOWN = {
    "1_quick_start": (["EmulatedDevice with 64", "11,706 bytes, 91 times smaller", "every output is verified"], 2),
    "2_compress_your_network": (["dense, float32: 9", "retrained 9", "verified", "times smaller"], 2),
    "3_look_inside": (["EmulatedDevice with 64", "multiplications", "not counted here", "equal"], 4),
    "4_convolutions": (["times smaller", "12 digits are right; every output is verified", "pictures a second"], 1),
    "5_voice_activity": (["outputs to", "from the given network's", "of the decisions are the same"], 1),
    "6_quantised_network": (["unequal: 0%", "1,000 of 1,000 classes", "82.5% of them are right"], 0),
}
LEFT_OUT = "is not to be had here: the rest is left out"
"""What a notebook says whose network is not there."""


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def execute(path, folder):
    """Run a copy of a notebook in a folder; return what it printed and how many figures it showed."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    book = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}})
    client.execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    text = "".join(output.get("text", "") for output in outputs)
    return text, sum("image/png" in output.get("data", {}) for output in outputs)


def test_each_notebook_is_described_here():
    assert list(SHOWN) == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_runs_from_top_to_bottom_and_shows_what_it_promises(path, tmp_path, monkeypatch):
    monkeypatch.setenv("KEYWORDS", str(KEYWORDS))
    text, figures = execute(path, tmp_path)
    if LEFT_OUT in text:
        pytest.skip(text.strip())
    phrases, expected_figures = SHOWN[path.stem]
    for phrase in phrases:
        assert phrase in text, (phrase, text)
    assert figures == expected_figures
    assert "DIFFERENT" not in text
    assert "Warning" not in text


@pytest.mark.parametrize("name", ["5_voice_activity", "6_quantised_network"])
def test_a_notebook_whose_network_is_not_there_says_so(name, tmp_path, monkeypatch):
    monkeypatch.setenv("KEYWORDS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    text, figures = execute(FOLDER / f"{name}.ipynb", tmp_path)
    assert LEFT_OUT in text and not figures


def test_a_failing_cell_fails_the_run(tmp_path):
    book = read(NOTEBOOKS[0])
    book["cells"].insert(0, {**book["cells"][1], "id": "failing", "source": ["1 / 0"]})
    (tmp_path / "failing.ipynb").write_text(json.dumps(book))
    with pytest.raises(Exception, match="ZeroDivisionError"):
        execute(tmp_path / "failing.ipynb", tmp_path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_a_notebook_is_kept_without_outputs_and_in_plain_python(path):
    book = read(path)
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            # One magic, without which figures do not show on old images; everything else runs anywhere.
            lines = [line for line in "".join(cell["source"]).splitlines() if line.lstrip().startswith(("%", "!"))]
            assert set(lines) <= {"%matplotlib inline"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=NAMES)
def test_links_between_notebooks_lead_somewhere(path):
    text = "".join("".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert all((FOLDER / link).exists() for link in links), links


def test_notebooks_and_overlay_descriptions_are_parts_of_the_package():
    import eie_notebooks

    installed = Path(eie_notebooks.__file__).parent
    assert [path.stem for path in sorted(installed.glob("*.ipynb"))] == NAMES
    assert (shipped_overlays() / "pynq-z2" / "board.json").exists()
