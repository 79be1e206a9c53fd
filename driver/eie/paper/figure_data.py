"""The numbers behind the figures, as tables."""

from __future__ import annotations

from typing import Any

from eie.paper import energy
from eie.paper.findings import energy_benchmark
from eie.paper.tables import Table

Result = dict[str, Any]


def figure_tables(result: Result) -> list[Table]:
    """Return a table for each of Figures 8 to 13; Figures 11 to 13 share one."""
    return [_queue(result), _width(result), _precision(result), _pes(result)]


def _queue(result: Result) -> Table:
    header = ("benchmark", "queue depth", "slot kept until worked off", "paper's machine", "best machine")
    rows = [
        [name, *values]
        for name, measured in result["benchmarks"].items()
        for values in zip(
            result["queue_depths"], *(measured["queue"][k] for k in ("slots", "paper", "best")), strict=True
        )
    ]
    return _table("fig8_queue", "Figure 8: load balance", header, rows)


def _width(result: Result) -> Table:
    name, reads = energy_benchmark(result)
    header = ("benchmark", "word bits", "reads", "pJ a read", "nJ in all")
    rows = []
    for bits, count in reads.items():
        each = energy.read_energy_pj(bits)
        rows.append([name, bits, count, each, count * each / 1000])
    return _table("fig9_width", "Figure 9: reads of the sparse-matrix memories", header, rows)


def _precision(result: Result) -> Table:
    found = result["precision"]
    header = ("arithmetic", "format for each tensor, %", "one format, %", "pJ a multiplication")
    rows: list[list[Any]] = [["float32", found["float32"], found["float32"], energy.multiply_energy_pj("float32")]]
    for bits, each, single in zip(found["bits"], found["per_tensor"], found["single"], strict=True):
        rows.append([f"int{bits}", each, single, energy.multiply_energy_pj(f"int{bits}")])
    return _table("fig10_precision", "Figure 10: digits recognised", header, rows)


def _pes(result: Result) -> Table:
    header = ("benchmark", "PEs", "cycles", "speed-up", "real work", "load balance")
    rows = []
    for name, measured in result["benchmarks"].items():
        first = measured["pes"][0]["cycles"]
        for pes, point in zip(result["pes"], measured["pes"], strict=True):
            values = [point["cycles"], first / point["cycles"], point["real_work"], point["load_balance"]]
            rows.append([name, pes, *values])
    return _table("fig11_12_13_pes", "Figures 11 to 13: the paper's machine with other numbers of PEs", header, rows)


def _table(name: str, title: str, header: tuple[str, ...], rows: list[list[Any]]) -> Table:
    return Table(name, title, header, [str] * len(header), rows)
