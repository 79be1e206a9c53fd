"""Where an exploration's tasks run: in this process, in joblib's, or on a Dask cluster's workers.

All three give the same outcomes, in any order. A task whose worker dies runs again.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from eie.contract.config import ArrayConfig
from eie.errors import EieError, MissingExtraError
from eie.exploration.workload import Workload, code_version, evaluate

Task = tuple[ArrayConfig, ...]
"""Arrays that pack a model in the same way."""
Outcome = dict[str, Any] | str
Finished = tuple[int, list[Outcome]]

_FRUITLESS = 3
"""Times that workers may die in a row without having finished a task."""


def run(tasks: Sequence[Task], workload: Workload, jobs: int, scheduler: str | None = None) -> Iterator[Finished]:
    """Yield each task's number and outcomes as soon as it is finished.

    Parameters
    ----------
    tasks : sequence of Task
    workload : Workload
    jobs : int
        Processes; 1 is this one.
    scheduler : str, optional
        Address of a Dask scheduler, ``tcp://host:8786``; its workers run the tasks then.

    Raises
    ------
    EieError
        If workers keep dying, the scheduler cannot be reached, or a worker has another version of the package.
    """
    if scheduler is not None:
        return _on_dask(tasks, workload, scheduler)
    if jobs != 1 and len(tasks) > 1:
        return _in_processes(tasks, workload, jobs)
    return ((number, evaluate(workload, task)) for number, task in enumerate(tasks))


def require_workers(jobs: int, scheduler: str | None) -> None:
    """Raise `MissingExtraError` unless what `run` needs is installed."""
    library = "distributed" if scheduler is not None else "joblib" if jobs != 1 else None
    if library:
        try:
            __import__(library)
        except ImportError as error:
            text = f"exploring {'on a cluster' if scheduler else 'in several processes'} needs {library}"
            raise MissingExtraError(f"{text}: pip install 'eie-pynq[explore]', or set jobs to 1") from error


def _in_processes(tasks: Sequence[Task], workload: Workload, jobs: int) -> Iterator[Finished]:
    from joblib import Parallel, delayed

    waiting = dict(enumerate(tasks))
    fruitless = 0
    while waiting:
        before = len(waiting)
        parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        calls = [delayed(_numbered)(number, workload, task) for number, task in waiting.items()]
        try:
            for number, outcomes in parallel(calls):
                del waiting[number]
                yield number, outcomes
        except BrokenProcessPool as error:
            # A dead process takes the others with it; what they had not finished starts again in new ones.
            fruitless = fruitless + 1 if len(waiting) == before else 0
            if fruitless == _FRUITLESS:
                reason = "its memory may not do for so many: use fewer jobs"
                raise EieError(f"worker processes died {fruitless} times without finishing a task; {reason}") from error


def _numbered(number: int, workload: Workload, task: Task) -> Finished:
    return number, evaluate(workload, task)


def _on_dask(tasks: Sequence[Task], workload: Workload, address: str) -> Iterator[Finished]:
    from distributed import Client, KilledWorker, as_completed

    try:
        client = Client(address, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EieError(f"scheduler {address}: cannot be reached ({error or type(error).__name__})") from error
    with client, client.as_current():
        # As a task of its own the workload is made again when the worker that holds it dies; data that is scattered
        # would be lost with it.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            held = client.submit(pickle.loads, pickle.dumps(workload), pure=False)
        version = code_version()
        numbers = {
            client.submit(evaluate, held, task, version, pure=False): number for number, task in enumerate(tasks)
        }
        try:
            for future in as_completed(numbers):
                yield numbers[future], future.result()
        except KilledWorker as error:
            raise EieError(f"scheduler {address}: workers died again and again on one task: {error}") from error
        except CancelledError as error:
            raise EieError(f"scheduler {address}: lost on the way ({error}); run again for what is missing") from error
