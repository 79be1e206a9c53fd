"""Results on disk: an exploration goes on where it was, and no file is lost."""

import os
import signal
import subprocess
import sys
import threading

import pytest

import eie
from eie.errors import EieError
from eie.exploration.results import read_results
from tests.driver.exploration.workloads import AXES, SMALL


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_an_interrupted_exploration_goes_on_where_it_was(work, alone, tmp_path, ending):
    path = tmp_path / f"results{ending}"

    def interrupt(done, total):
        if done >= total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        eie.explore(*work, AXES, base=SMALL, jobs=1, output=path, progress=interrupt)
    half = read_results(path)
    assert len(alone.rows) // 2 <= len(half) < len(alone.rows)
    found = eie.explore(*work, AXES, base=SMALL, jobs=1, output=path)
    assert (found.known, found.computed) == (len(half), len(alone.rows) - len(half))
    assert found.rows == alone.rows == read_results(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [path.name]


KILLED = """\
import os, signal, sys
import eie
from tests.driver.exploration.workloads import AXES, SMALL, network
from tests.strategies import activations
def kill(done, total):
    if done >= total // 2:
        os.kill(os.getpid(), signal.SIGKILL)
model = network()
eie.explore(model, activations(model, 2, seed=1), AXES, base=SMALL, jobs=1, output=sys.argv[1], progress=kill)
"""


def test_a_killed_exploration_goes_on_where_it_was(work, alone, tmp_path):
    path = tmp_path / "results.csv"
    killed = subprocess.run([sys.executable, "-c", KILLED, path], cwd=os.path.dirname(__file__) + "/../../..")
    assert killed.returncode == -signal.SIGKILL
    journal = tmp_path / "results.csv.journal"
    assert not path.exists() and journal.exists()
    # What a crash of the machine may leave: a line that is cut short.
    journal.write_text(journal.read_text() + '{"key": "0123')
    found = eie.explore(*work, AXES, base=SMALL, jobs=1, output=path)
    assert found.rows == alone.rows
    assert found.known >= len(alone.rows) // 2
    assert not journal.exists()


def test_csv_and_parquet_hold_the_same(work, alone, tmp_path):
    for ending in (".csv", ".parquet"):
        eie.explore(*work, AXES, base=SMALL, jobs=1, output=tmp_path / f"r{ending}")
    assert read_results(tmp_path / "r.csv") == read_results(tmp_path / "r.parquet") == alone.rows
    pandas = pytest.importorskip("pandas")
    csv, parquet = pandas.read_csv(tmp_path / "r.csv"), pandas.read_parquet(tmp_path / "r.parquet")
    assert csv["cycles"].tolist() == parquet["cycles"].tolist() == [row["cycles"] for row in alone.rows]


def test_a_file_keeps_the_points_of_other_explorations(work, alone, tmp_path):
    path = tmp_path / "r.csv"
    model, a = work
    first = eie.explore(model, a, {"index_bits": "4:5"}, base=SMALL, jobs=1, output=path)
    second = eie.explore(model, a[:1], {"index_bits": "4:6"}, base=SMALL, jobs=1, output=path)
    third = eie.explore(model, a, {"index_bits": "5:7"}, base=SMALL, jobs=1, output=path)
    assert (second.known, third.known, third.computed) == (0, 1, 2)
    assert len(read_results(path)) == 2 + 3 + 2
    assert {row["key"] for row in [*first.rows, *second.rows, *third.rows]} == {r["key"] for r in read_results(path)}


def test_a_file_that_holds_something_else_is_left_alone(work, tmp_path):
    for name, content in (("a.csv", b"my,own\n1,2\n"), ("b.csv", b"\xff\xfe"), ("c.parquet", b"PAR1 not")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EieError, match=name):
            eie.explore(*work, {}, base=SMALL, jobs=1, output=tmp_path / name)
        assert (tmp_path / name).read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(EieError, match="name the file so"):
        eie.explore(*work, {}, base=SMALL, jobs=1, output=tmp_path / "r.xlsx")


def test_two_explorations_do_not_write_one_file(work, tmp_path):
    inside, release, errors = threading.Event(), threading.Event(), []

    def hold(done, total):
        inside.set()
        release.wait(20)

    def first():
        eie.explore(*work, {}, base=SMALL, jobs=1, output=tmp_path / "r.csv", progress=hold)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(20)
    try:
        eie.explore(*work, {}, base=SMALL, jobs=1, output=tmp_path / "r.csv")
    except EieError as error:
        errors.append(str(error))
    release.set()
    thread.join()
    assert "another exploration is writing it" in errors[0]
    assert len(read_results(tmp_path / "r.csv")) == 1
