"""The way into an exploration; docs/explore.md has examples and what the columns mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from eie.boards.board import Board, board_names
from eie.boards.board import board as board_by_name
from eie.boards.resources import estimate, fits
from eie.contract.config import ArrayConfig
from eie.errors import ConfigError
from eie.exploration.pareto import pareto_front
from eie.exploration.results import Results, Row, key_of
from eie.exploration.space import Space, Values, space
from eie.exploration.workers import Task, require_workers, run
from eie.exploration.workload import Workload, packing_of
from eie.network.model import Layer, Model
from eie.version import code_version

Progress = Callable[[int, int], None]

_TASKS_PER_JOB = 4


@dataclass(frozen=True)
class Exploration:
    """What came out.

    Parameters
    ----------
    space : Space
        The arrays asked for, and the combinations that no array can have.
    rows : list of dict
        A row for each array in that order, with the columns of docs/explore.md.
    failed : dict of str to int
        Why arrays could not run the model, and how many for that reason.
    computed, known : int
        Points computed now, and points that were there already.
    """

    space: Space
    rows: list[Row]
    failed: dict[str, int]
    computed: int
    known: int

    @property
    def refused(self) -> dict[str, int]:
        """Combinations without a row: the reason, and how many for that reason."""
        return dict(Counter(self.space.refused) + Counter(self.failed))

    def pareto(self, board: Board | str, *, loading: bool = False) -> list[Row]:
        """Return the arrays that fit a board and that no other such array beats in both time and resources, the
        smallest first.

        Parameters
        ----------
        board : Board or str
        loading : bool
            Count the cycles in which weights and activations travel, too, where they are more than the COMPUTEs'.
        """
        return pareto_front(self.rows, board_by_name(board) if isinstance(board, str) else board, loading)


def explore(
    model: Model | Layer,
    activations: ArrayLike,
    axes: Mapping[str, Values],
    *,
    base: ArrayConfig | None = None,
    output: str | Path | None = None,
    jobs: int = -1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Exploration:
    """Run the cycle model, and the resource estimate, for every combination of array parameters.

    Parameters
    ----------
    model : Model or Layer
    activations : array_like, shape (B, C) or (C,), int16
        Input of the model.
    axes : mapping of str to values
        The parameters to vary, ``{"num_pes": "16:256", "queue_depth": [4, 8], "first_row": "both"}``; a range doubles,
        or counts by one where it need not be powers of two (`eie.exploration.space.parse_values`).
    base : ArrayConfig, optional
        The other parameters; default ``ArrayConfig()``.
    output : path, optional
        ``.csv`` or ``.parquet``. Every finished point is recorded at once, and a point that is recorded is not computed
        again: an exploration that was interrupted goes on where it was.
    jobs : int
        Processes (extra "explore"); -1 for one a core, 1 for this process alone.
    scheduler : str, optional
        Address of a Dask scheduler, ``tcp://host:8786``, whose workers compute in place of local processes.
    progress : callable, optional
        Called with the numbers of points there are and of points asked for.

    Returns
    -------
    Exploration

    Raises
    ------
    ConfigError
        If no combination is left, or a value is not understood.
    EieError
        If results cannot be read or written, or workers fail for good.
    MissingExtraError
        If joblib, distributed or pyarrow is needed and not installed.

    Examples
    --------
    >>> result = eie.explore(model, a, {"num_pes": "16:128", "queue_depth": "1:64"}, output="results.csv")
    >>> [(row["num_pes"], row["queue_depth"], row["cycles"]) for row in result.pareto("pynq-z2")]
    """
    jobs = _number_of_jobs(jobs)
    require_workers(jobs, scheduler)
    wanted = space(axes, base)
    results = Results(output)
    workload, version = Workload.of(model, activations), code_version()
    keys = {config: key_of(workload.digest, config, version) for config in wanted.configs}
    failed: Counter[str] = Counter()
    with results:
        missing = set(results.ask(keys.values()))
        total, known = len(keys), len(keys) - len(missing)
        tasks = _tasks([config for config, key in keys.items() if key in missing], jobs if scheduler is None else 32)
        done = known
        _tell(progress, done, total)
        for number, outcomes in run(tasks, workload, jobs, scheduler):
            rows = []
            for config, outcome in zip(tasks[number], outcomes, strict=True):
                if isinstance(outcome, str):
                    failed[outcome] += 1
                else:
                    identity = _identity(keys[config], workload, version)
                    rows.append({**identity, **config.to_dict(), **outcome, **_estimated(config)})
            results.add(rows)
            done += len(outcomes)
            _tell(progress, done, total)
        for config, key in keys.items():
            # The estimate may have been fitted anew since a point was recorded.
            if results.get(key):
                results.revise(key, **_estimated(config))
        found = [row for row in map(results.get, keys.values()) if row]
    return Exploration(wanted, found, dict(failed), done - known - failed.total(), known)


def _number_of_jobs(jobs: int) -> int:
    if jobs == -1:
        return cpu_count() or 1
    if jobs < 1:
        raise ConfigError(f"jobs={jobs} must be the number of processes, or -1 for one a core")
    return jobs


def _tasks(configs: Sequence[ArrayConfig], workers: int) -> list[Task]:
    """Group arrays by their packing, but into a few tasks for each worker, lest workers stand idle."""
    groups: dict[ArrayConfig, list[ArrayConfig]] = {}
    for config in configs:
        groups.setdefault(packing_of(config), []).append(config)
    most = max(1, len(configs) // (workers * _TASKS_PER_JOB)) if workers > 1 else len(configs)
    return [task for group in groups.values() for task in _cut(tuple(group), max(1, most))]


def _cut(group: Task, most: int) -> Iterator[Task]:
    for first in range(0, len(group), most):
        yield group[first : first + most]


def _identity(key: str, workload: Workload, version: str) -> Row:
    return {
        "key": key,
        "version": version,
        "model": workload.model.name,
        "workload": workload.digest,
        "inferences": workload.inferences,
    }


def _estimated(config: ArrayConfig) -> dict[str, Any]:
    figures = estimate(config)
    boards = " ".join(name for name in board_names() if fits(figures, board_by_name(name)))
    return {
        "luts": figures.luts,
        "slicem_luts": figures.slicem_luts,
        "flip_flops": figures.flip_flops,
        "ramb36": figures.ramb36,
        "dsps": figures.dsps,
        "ultra_rams": figures.ultra_rams,
        "fits": boards,
    }


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress:
        progress(done, total)
