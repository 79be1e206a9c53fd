"""Design-space exploration: the same results in one process, in several and on a cluster; nothing lost; the front."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie import cli
from eie.boards.board import board
from eie.errors import ConfigError, EieError
from eie.exploration import workers
from eie.exploration.pareto import limit_of, not_dominated, time_us
from eie.exploration.results import COLUMNS, read_results
from eie.exploration.space import space
from eie.exploration.workload import Workload, evaluate
from tests.strategies import activations, configs, models

SMALL = eie.ArrayConfig(num_pes=4, entries=64, pointers=64, rows=64, activations=512)
AXES = {"num_pes": "4:16", "queue_depth": "1:8", "index_bits": [3, 5], "skip_empty": "both"}


def network(seed=0, shapes=((48, 40), (24, 48))):
    rng = np.random.default_rng(seed)
    return eie.Model(
        [
            eie.Layer.from_dense_codes(
                rng.integers(1, 16, shape) * (rng.random(shape) < 0.2), np.r_[0, rng.integers(-99, 99, 15)], shift=4
            )
            for shape in shapes
        ],
        name="network",
    )


@pytest.fixture(scope="module")
def work():
    model = network()
    return model, activations(model, 2, seed=1)


@pytest.fixture(scope="module")
def alone(work):
    """The exploration in this process, which all others must equal."""
    return eie.explore(*work, AXES, base=SMALL, jobs=1)


# What is explored.


def test_ranges_double_or_count_by_one_and_lists_are_taken_as_they_are():
    assert [c.num_pes for c in space({"num_pes": "2:16"}).configs] == [2, 4, 8, 16]
    assert [c.index_bits for c in space({"index_bits": "4:6"}).configs] == [4, 5, 6]
    assert [c.queue_depth for c in space({"queue_depth": "32,4:8, 8"}).configs] == [32, 4, 8]
    assert [c.first_row for c in space({"first_row": "both"}).configs] == [True, False]
    assert space({"num_pes": [8], "skip_empty": "no"}).configs == (eie.ArrayConfig(num_pes=8, skip_empty=False),)


@pytest.mark.parametrize(
    "axes, reason",
    [
        ({"pes": "4"}, "'pes' is no parameter"),
        ({"num_pes": "12:64"}, "must be powers of two"),
        ({"num_pes": "64:16"}, "empty range; write 16:64"),
        ({"num_pes": "a"}, "must be numbers and ranges"),
        ({"num_pes": "4:8:16"}, "must be numbers and ranges"),
        ({"num_pes": "-4"}, "must be numbers and ranges"),
        ({"queue_depth": []}, "no value"),
        ({"first_row": "2"}, "yes, no or both"),
        ({"num_pes": "512"}, "num_pes=512 must lie in 1..256"),
        ({"index_bits": "1:99999999999"}, "range of 99,999,999,999 values"),
        (dict.fromkeys(("entries", "pointers", "rows", "activations", "queue_depth"), "1:32768"), "1,048,576"),
    ],
)
def test_what_cannot_be_explored_is_refused_by_name(axes, reason):
    with pytest.raises(ConfigError) as caught:
        space(axes)
    assert reason in str(caught.value)


def test_impossible_combinations_are_left_out_and_counted(work):
    found = eie.explore(*work, {"num_pes": "4:16", "entries": [2, 64], "index_bits": [4, 13]}, base=SMALL, jobs=1)
    assert len(found.rows) == 3
    assert sum(found.refused.values()) == 3 * 2 * 2 - 3
    assert found.refused["index_bits=13 must lie in 1..12"] >= 3


# What is found.


@settings(max_examples=20)
@given(models(max_size=60), configs(pes=(1, 4, 16)), st.integers(1, 3), st.integers(0, 2**32), st.data())
def test_a_point_has_the_cycles_of_eie_cycles(model, config, batch, seed, data):
    a = activations(model, batch, seed)
    others = [replace(config, queue_depth=1 << data.draw(st.integers(0, 6)), skip_empty=data.draw(st.booleans()))]
    for same_packing, found in zip([config, *others], evaluate(Workload.of(model, a), [config, *others]), strict=True):
        layers = eie.cycles(model, a, same_packing)
        for name in ("cycles", "broadcasts", "useful"):
            assert found[name] == sum(getattr(layer, name) for layer in layers), name
        for name in ("padding", "starved", "blocked"):
            assert found[name] == sum(int(getattr(layer, name).sum()) for layer in layers), name
        packed = eie.pack(model, same_packing)
        assert found["resident"] == packed.resident
        assert found["stream_words"] == sum(segment.words(batch) for segment in packed.segments)


def test_a_row_has_the_array_the_workload_and_the_estimate(work, alone):
    row = alone.rows[0]
    assert list(row) == list(COLUMNS)
    assert all(type(row[name]) is kind for name, kind in COLUMNS.items())
    assert {name: row[name] for name in SMALL.to_dict()} == alone.space.configs[0].to_dict()
    assert (row["model"], row["inferences"], row["dsps"]) == ("network", 2, 5)
    assert len({row["key"] for row in alone.rows}) == len(alone.rows) == 3 * 4 * 2 * 2


def test_a_key_changes_with_the_model_the_activations_and_the_array(work):
    model, a = work
    other = a.copy()
    other[0, 0] += 1
    cases = [(model, a, 4), (model, other, 4), (network(seed=5), a, 4), (model, a, 5)]
    keys = {eie.explore(m, x, {"index_bits": [b]}, base=SMALL, jobs=1).rows[0]["key"] for m, x, b in cases}
    assert len(keys) == len(cases)


def test_large_arrays_do_not_fit_small_boards(work):
    found = eie.explore(*work, {"num_pes": [4, 64, 256]}, jobs=1)
    fits = [row["fits"].split() for row in found.rows]
    assert "pynq-z2" in fits[0] and "pynq-z2" in fits[1]
    assert "pynq-z2" not in fits[2], "256 DSP slices are more than it has"
    assert all(row["num_pes"] < 256 for row in found.pareto("pynq-z2"))


# Where it is computed.


def test_two_processes_find_what_one_finds(work, alone):
    assert eie.explore(*work, AXES, base=SMALL, jobs=2).rows == alone.rows


def test_a_killed_process_loses_nothing(work, alone, monkeypatch, tmp_path):
    once = tmp_path / "once"
    monkeypatch.setattr(workers, "_numbered", DieOnce(str(once)))
    assert eie.explore(*work, AXES, base=SMALL, jobs=2).rows == alone.rows
    assert once.exists(), "a worker was killed"


class DieOnce:
    """The first worker to get the task in the middle is killed."""

    def __init__(self, path):
        self.path = path

    def __call__(self, number, workload, task):
        if number == 3:
            try:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return number, evaluate(workload, task)


def test_workers_that_always_die_are_reported(work, monkeypatch):
    monkeypatch.setattr(workers, "_numbered", die)
    with pytest.raises(EieError, match="use fewer jobs"):
        eie.explore(*work, {"index_bits": [4, 5]}, base=SMALL, jobs=2)


def die(number, workload, task):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster():
    """A Dask scheduler and two worker processes."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    ) as local:
        yield local


def test_a_cluster_finds_what_one_process_finds_though_its_workers_are_killed(work, alone, cluster, tmp_path):
    victims = [nanny.pid for nanny in cluster.workers.values()]
    assert len({*victims, os.getpid()}) == 3
    counts = []

    def kill_in_the_middle(done, total):
        counts.append(done)
        if len(counts) in (3, 8):
            assert done < total
            os.kill(victims.pop(), signal.SIGKILL)

    found = eie.explore(
        *work,
        AXES,
        base=SMALL,
        scheduler=cluster.scheduler_address,
        output=tmp_path / "r.csv",
        progress=kill_in_the_middle,
    )
    assert found.rows == alone.rows == read_results(tmp_path / "r.csv")
    assert (found.computed, counts[-1]) == (len(alone.rows), len(alone.rows))
    assert not victims


def test_a_scheduler_that_is_not_there_is_named(work):
    dask = pytest.importorskip("dask")
    soon = dask.config.set({"distributed.comm.timeouts.connect": "500ms"})
    with soon, pytest.raises(EieError, match="cannot be reached"):
        eie.explore(*work, {}, base=SMALL, scheduler="tcp://127.0.0.1:9")


# Results on disk.


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
from tests.driver.exploration.test_explore import AXES, SMALL, activations, network
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


# The front.


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=25))
def test_the_front_is_what_no_other_point_beats(points):
    def beats(p, q):
        return p[0] <= q[0] and p[1] <= q[1] and p != q

    assert not_dominated(points).tolist() == [not any(beats(q, p) for q in points) for p in points]


def test_the_front_of_a_board_gets_faster_as_it_grows(work):
    found = eie.explore(*work, AXES | {"num_pes": "1:64"}, base=replace(SMALL, activations=1024), jobs=1)
    on = board("pynq-z2")
    front = found.pareto(on)
    times = [time_us(row, on) for row in front]
    shares = [limit_of(row, on)[1] for row in front]
    assert len(front) > 1
    assert times == sorted(times, reverse=True) and shares == sorted(shares)
    assert max(shares) <= 1
    assert min(times) == min(time_us(r, on) for r in found.rows if "pynq-z2" in r["fits"].split())


# The command.


@pytest.fixture
def model_file(work, tmp_path):
    eie.save(work[0], tmp_path / "network.eie")
    return tmp_path / "network.eie"


def test_the_command_explores_writes_and_plots(work, model_file, tmp_path, capsys):
    np.save(tmp_path / "x.npy", work[1])
    arguments = ["explore", str(model_file), "--pes", "4:16", "--queue", "1:8", "--entries", "2,64"]
    arguments += ["--activations", "512", "--data", str(tmp_path / "x.npy"), "-o", str(tmp_path / "r.csv")]
    assert cli.main([*arguments, "--plot", str(tmp_path / "p.png"), "--board", "pynq-z1", "--jobs", "2"]) == 0
    text = capsys.readouterr().out
    assert "12 arrays: 12 computed, 0 known already" in text
    assert "12 combinations left out" in text and "entries=2" in text
    assert "PYNQ-Z1" in text
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "p.svg").exists()
    assert cli.main([*arguments, "--json", "--jobs", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["computed"], found["known"], len(found["points"])) == (0, 12, 12)
    assert found["points"] == read_results(tmp_path / "r.csv")
    (expected,) = eie.explore(*work, {"num_pes": 4, "queue_depth": 1, "entries": 64, "activations": 512}, jobs=1).rows
    assert found["points"][0] == expected


def test_random_inputs_have_their_density_and_follow_from_the_seed(model_file, capsys):
    def points(*more):
        arguments = ["explore", str(model_file), "--pes", "4", "--activations", "512", "--json", "--jobs", "1", *more]
        assert cli.main(arguments) == 0
        return json.loads(capsys.readouterr().out)["points"][0]

    assert points("--density", "0.5", "--seed", "3") == points("--density", "0.5", "--seed", "3")
    assert points("--seed", "3")["workload"] != points("--seed", "4")["workload"]
    full, none = points("--density", "1"), points("--density", "0")
    assert full["broadcasts"] > none["broadcasts"]


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--pes", "12:64"], "num_pes='12:64'"),
        (["--density", "1.5"], "density=1.5"),
        (["--jobs", "0"], "jobs=0"),
        (["-o", "r.txt"], "r.txt"),
        (["--inputs", "0"], "inputs=0"),
    ],
)
def test_the_command_says_what_is_wrong(model_file, capsys, arguments, reason):
    assert cli.main(["explore", str(model_file), *arguments]) == 2
    error = capsys.readouterr().err
    assert reason in error and error.count("\n") == 1
