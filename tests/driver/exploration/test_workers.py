"""Explorations in several processes and on a cluster find what one process finds, whoever dies."""

import os
import signal

import pytest

import eie
from eie.errors import EieError
from eie.exploration import workers
from eie.exploration.results import read_results
from eie.exploration.workload import evaluate
from tests.driver.exploration.workloads import AXES, SMALL


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
