"""The report: complete, self-contained, and its sentences follow from its data; docs/paper.md is not stale."""

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import eie
from eie.cli import main
from eie.errors import ConfigError, EieError
from eie.paper import BENCHMARKS, docs, published
from eie.paper.benchmarks import AUTHORS_ALEX_8
from eie.paper.evaluation import (
    QUICK,
    Plan,
    evaluate,
    measure_authors,
    measure_benchmark,
    measure_precision,
    measure_trained,
)
from eie.paper.figures import figures
from eie.paper.findings import deviations, findings, summary
from eie.paper.real_layers import compare_with_random
from eie.paper.tables import Table, tables, utilisation_table

DOCS = Path(__file__).resolve().parents[3] / "docs"
FIGURES = {"times", "utilisation", *(f"fig{n}" for n in ("8_queue", "9_width", "10_precision", "11_speedup"))} | {
    "fig12_padding",
    "fig13_balance",
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """A quick evaluation by the command line, with a network of one's own."""
    folder = tmp_path_factory.mktemp("paper")
    rng = np.random.default_rng(0)
    model = eie.Model([eie.Layer.from_dense_codes(rng.random((90, 70)) < 0.2, np.arange(16))], name="mine")
    eie.save(model, folder / "mine.eie")
    np.save(folder / "x.npy", rng.integers(0, 3, (2, 70)))
    command = ["paper", "--quick", "-o", folder / "out", "--model", folder / "mine.eie", "--inputs", folder / "x.npy"]
    assert main([str(part) for part in command]) == 0
    return folder / "out", json.loads((folder / "out/paper.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def published_result():
    return json.loads((DOCS / docs.DATA).read_text(encoding="utf-8"))


class Page(HTMLParser):
    """Collects what a page refers to, and checks that its elements close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.titles = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.references += [values[name] for name in ("src", "href") if name in values]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.titles.append(data)


def test_one_command_writes_figures_data_and_a_page_that_needs_nothing_else(outcome):
    folder, result = outcome
    names = {path.name for path in folder.iterdir()}
    assert {f"{name}.{suffix}" for name in FIGURES for suffix in ("png", "svg")} <= names
    assert {f"{t.name}.csv" for t in tables(result)} | {"fig9_width.csv", "fig11_12_13_pes.csv"} <= names
    assert not any("partial" in name for name in names)
    text = (folder / "paper.html").read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.references) == len(FIGURES)
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", text)
    assert {f"Figure {n}" for n in range(8, 14)} <= {title.partition(":")[0] for title in page.titles}
    assert "mine beside random layers like it, 2 vectors" in page.titles


def test_csv_holds_the_values_of_the_tables(outcome):
    folder, result = outcome
    with (folder / "utilisation.csv").open(encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows[1:]] == [*result["benchmarks"], "geometric mean"]
    first = result["benchmarks"]["NT-We"]
    assert float(rows[1][2]) == first["steps"][0]["utilisation"]
    assert float(rows[1][5]) == first["board"]["utilisation"]


def test_the_same_seed_gives_the_same_results_in_one_process_or_two(outcome):
    plan = replace(QUICK, benchmarks=("NT-LSTM",), pes=(64,), images=50, vectors=1)
    first, second = evaluate(plan), evaluate(replace(plan, processes=2))
    del first["times"], second["times"]
    assert first == second
    assert first["benchmarks"]["NT-LSTM"]["steps"] == outcome[1]["benchmarks"]["NT-LSTM"]["steps"]
    other = measure_benchmark(next(b for b in BENCHMARKS if b.name == "NT-LSTM"), replace(plan, seed=2))
    assert other["steps"] != first["benchmarks"]["NT-LSTM"]["steps"]


def test_progress_counts_every_part():
    seen = []
    plan = replace(QUICK, benchmarks=("NT-LSTM",), pes=(64,), images=50, vectors=1)
    evaluate(plan, lambda name, done, total: seen.append((name, done, total)))
    assert [done for _, done, _ in seen] == list(range(1, seen[-1][2] + 1))
    assert "NT-LSTM" in {name for name, _, _ in seen}


def test_every_axis_of_every_figure_is_labelled(published_result):
    drawn = figures(published_result)
    assert set(drawn) == FIGURES
    for name, figure in drawn.items():
        assert any(axes.get_ylabel() for axes in figure.axes), name
        for axes in figure.axes:
            ticks = [text.get_text() for text in axes.get_xticklabels()]
            assert axes.get_xlabel() or any(tick[:1].isalpha() for tick in ticks) or not axes.xaxis.get_visible(), name


def test_figure_11_draws_the_speed_up_of_every_benchmark(published_result):
    left = figures(published_result)["fig11_speedup"].axes[0]
    lines = {line.get_label(): line.get_ydata() for line in left.lines}
    for name, measured in published_result["benchmarks"].items():
        cycles = [p["cycles"] for p in measured["pes"]]
        assert list(lines[name]) == [cycles[0] / c for c in cycles]


def test_what_the_paper_says_of_its_figures_holds_here(published_result):
    benchmarks, depths, pes = (published_result[key] for key in ("benchmarks", "queue_depths", "pes"))
    one, eight, last = depths.index(1), depths.index(8), len(depths) - 1
    for name, measured in benchmarks.items():
        slots = measured["queue"]["slots"]
        assert slots == sorted(slots) and slots[last] - slots[eight] < slots[eight] - slots[one]
        real = [p["real_work"] for p in measured["pes"]]
        assert all(b > a - 1e-3 for a, b in pairwise(real)), name
        assert measured["pes"][-1]["load_balance"] < measured["pes"][0]["load_balance"]
    idle = 1 - np.mean([measured["queue"]["slots"][one] for measured in benchmarks.values()])
    assert 0.45 < idle < 0.65  # "around half"
    assert min(benchmarks, key=lambda name: benchmarks[name]["queue"]["slots"][eight]) == "NT-We"
    speedup = {n: m["pes"][0]["cycles"] / m["pes"][pes.index(64)]["cycles"] for n, m in benchmarks.items()}
    assert all((s > 0.9 * 64) == (name != "NT-We") for name, s in speedup.items())
    assert "64 bits take the least energy" in findings(published_result)[1].ours


def test_times_beyond_the_limits_are_explained_and_no_others(published_result):
    explained = {text.partition(" ")[0] for text in deviations(published_result)}
    assert explained == {"Alex-8", "VGG-6"}
    assert "7 of 9 benchmarks" in summary(published_result)
    off = {**published_result, "benchmarks": {**published_result["benchmarks"]}}
    alex7 = off["benchmarks"]["Alex-7"]
    slow = [{**alex7["steps"][0], "cycles": alex7["steps"][0]["cycles"] * 2}, *alex7["steps"][1:]]
    off["benchmarks"]["Alex-7"] = {**alex7, "steps": slow}
    assert any(text.startswith("Alex-7 (actual +1") for text in deviations(off))


def test_the_papers_own_numbers_disagree_where_the_report_says_so():
    text = " ".join(published.INCONSISTENCIES)
    we, alex8 = next(b for b in BENCHMARKS if b.name == "NT-We"), next(b for b in BENCHMARKS if b.name == "Alex-8")
    assert f"{published.CPU_DENSE_US['NT-We'] / we.actual_us:.1f} times" in text
    assert f"{alex8.theoretical_entries:,.0f} entries" in text and f"{alex8.products:,.0f} products" in text
    ratio = published.FRAMES_PER_SECOND[256] / published.FRAMES_PER_SECOND[64]
    assert f"{ratio:.2f}" in text and f"{ratio * 800 / published.CLOCK_256_MHZ:.2f} times" in text
    assert sum(published.PE_POWER_MW.values()) == pytest.approx(published.PE_TOTAL_MW, abs=0.01)


def test_the_authors_vector_of_alex_8_explains_table_iv(published_result):
    alex8 = next(b for b in BENCHMARKS if b.name == "Alex-8")
    own = AUTHORS_ALEX_8
    assert own.products == pytest.approx(published.AUTHORS_ALEX_8_ENTRIES / published.AUTHORS_ALEX_8_PRODUCTS, rel=1e-3)
    assert own.theoretical_us == pytest.approx(published.AUTHORS_ALEX_8_ENTRIES / 64 / 800, abs=5e-3)
    assert (round(own.theoretical_us, 1), round(own.actual_us, 1)) == (alex8.theoretical_us, alex8.actual_us)
    measured = measure_authors(Plan())
    assert measured == published_result["authors_alex_8"], "run: python scripts/paper.py --docs"
    assert measured["entries"] == pytest.approx(published.AUTHORS_ALEX_8_ENTRIES, rel=0.02)
    assert measured["cycles"] / 800 == pytest.approx(own.actual_us, rel=0.10)


def test_a_trained_layer_is_compared_with_a_random_one_of_its_density():
    codes = np.zeros((32, 40), np.uint8)
    codes[:, :10] = 1  # the active inputs hold all weights
    layer = eie.Layer.from_dense_codes(codes, np.arange(16))
    a = np.r_[np.ones(10, np.int16), np.zeros(30, np.int16)][None].astype(np.int16)
    (row,) = compare_with_random(eie.Model([layer]), a, replace(eie.ArrayConfig.paper(), num_pes=4))
    assert row["weight_density"] == row["activation_density"] == 0.25
    assert row["products_over_density"] == 4
    assert row["real"]["utilisation"] > row["random"]["utilisation"]


def test_a_plan_without_the_papers_own_point_is_refused():
    with pytest.raises(ConfigError, match=r"pes \[1, 2\] lacks 64"):
        Plan(pes=(1, 2))
    with pytest.raises(ConfigError, match="'Alex-9'"):
        Plan(benchmarks=("Alex-9",))
    with pytest.raises(ConfigError, match="images=0 must lie in 1"):
        Plan(images=0)


def test_a_model_without_inputs_is_refused(tmp_path, capsys):
    assert main(["paper", "-o", str(tmp_path), "--model", "net.eie"]) == 2
    assert "--model and --inputs go together" in capsys.readouterr().err


def test_a_table_is_the_same_in_markdown_text_and_csv():
    table = Table("t", "T", ("a", "b"), [str, lambda v: f"{v:.1f}"], [["x", 1.26], ["y", None]])
    assert table.markdown() == "| a | b |\n| --- | ---: |\n| x | 1.3 |\n| y | - |"
    assert table.text() == "a    b\nx  1.3\ny    -"
    assert table.csv() == "a,b\nx,1.26\ny,\n"


# docs/paper.md


def test_the_page_is_written_from_its_data(published_result):
    assert docs.split(DOCS / docs.PAGE)[1] == docs.section(published_result), "run: python scripts/paper.py --docs"
    for reference in re.findall(r"\]\((figures/[^)]*)\)", (DOCS / docs.PAGE).read_text(encoding="utf-8")):
        assert (DOCS / reference).is_file()


SMALL = ("NT-We", "NT-LSTM")


@pytest.mark.parametrize(
    "name", [pytest.param(b.name, marks=[] if b.name in SMALL else pytest.mark.full) for b in BENCHMARKS]
)
def test_the_data_of_the_page_are_what_is_measured(published_result, name):
    plan = Plan(pes=tuple(published_result["pes"]), queue_depths=tuple(published_result["queue_depths"]))
    measured = measure_benchmark(next(b for b in BENCHMARKS if b.name == name), plan)
    del measured["times"]
    assert measured == published_result["benchmarks"][name], "run: python scripts/paper.py --docs"


def test_the_trained_network_of_the_page_is_what_is_measured(published_result):
    assert measure_trained(Plan()) == published_result["trained_network"], "run: python scripts/paper.py --docs"


@pytest.mark.full
def test_the_precision_of_the_page_is_what_is_measured(published_result):
    measured, expected = measure_precision(Plan()), published_result["precision"]
    # Floats may be added up in another order elsewhere; integers are exact.
    assert measured.pop("float32") == pytest.approx(expected["float32"], abs=0.02)
    assert measured == {key: value for key, value in expected.items() if key != "float32"}


def test_renewing_the_page_keeps_what_stands_around_it(tmp_path, published_result, monkeypatch):
    monkeypatch.setattr(docs, "figures", lambda result: {"utilisation": figures(result)["utilisation"]})
    page = tmp_path / docs.PAGE
    with pytest.raises(EieError, match="cannot be read"):
        docs.write_docs(published_result, tmp_path)
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(EieError, match="must hold"):
        docs.write_docs(published_result, tmp_path)
    original = (DOCS / docs.PAGE).read_text(encoding="utf-8")
    before, _, after = docs.split(DOCS / docs.PAGE)
    page.write_text(f"{before}old{after}", encoding="utf-8")
    docs.write_docs({**published_result, "times": {}}, tmp_path)
    assert page.read_text(encoding="utf-8") == original
    assert json.loads((tmp_path / docs.DATA).read_text(encoding="utf-8")) == published_result
    assert [path.name for path in (tmp_path / docs.FIGURES).iterdir()] == ["utilisation.svg"]


def test_the_readme_says_what_the_page_does(published_result):
    *_, means = utilisation_table(published_result).cells()
    expected = [f"{float(value):.2f}".lstrip("0") for value in means[1:4]]
    readme = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    assert (
        "the paper {}, its machine here {}, the default array with memories as deep **{}**".format(*expected) in readme
    )
