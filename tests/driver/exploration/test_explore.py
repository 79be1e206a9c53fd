"""Design-space exploration: what is explored, what is found, the front, the command."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import eie
from eie import cli
from eie.boards.board import board
from eie.errors import ConfigError
from eie.exploration.pareto import limit_of, not_dominated, time_us
from eie.exploration.results import COLUMNS, read_results
from eie.exploration.space import space
from eie.exploration.workload import Workload, evaluate
from tests.driver.exploration.workloads import AXES, SMALL, network
from tests.strategies import activations, configs, models

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
        assert found["stream_words"] == sum(segment.words(batch) for segment in packed.for_batch(batch).segments)


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


def test_what_a_board_has_none_of_limits_only_arrays_that_want_some():
    row = {"luts": 532, "slicem_luts": 0, "flip_flops": 0, "ramb36": 70, "dsps": 0, "ultra_rams": 0}
    assert limit_of(row, board("pynq-z2")) == ("ramb36", 0.5)
    assert limit_of(row | {"ultra_rams": 1}, board("pynq-z2")) == ("ultra_rams", np.inf)
    assert limit_of(row | {"ultra_rams": 64}, board("kv260")) == ("ultra_rams", 1.0)
