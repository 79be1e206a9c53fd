"""What the paper says of each table and figure, what is found here, and why they differ where they do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from eie.paper import energy, published
from eie.paper.benchmarks import AUTHORS_ALEX_8, PES, Benchmark
from eie.paper.tables import (
    ACTUAL_LIMIT,
    THEORETICAL_LIMIT,
    actual_us,
    chosen,
    geometric_mean,
    microseconds,
    theoretical_us,
)

Result = dict[str, Any]

_LESS_BALANCED = 0.05
"""Difference in load balance that is worth a sentence."""


@dataclass(frozen=True)
class Finding:
    """A figure or table: the paper's statement, ours, and a sentence on what differs.

    Parameters
    ----------
    figure : str
        Name of the figure's file; empty if there is none.
    title : str
    paper, ours : str
    difference : str
        Empty where nothing differs.
    """

    figure: str
    title: str
    paper: str
    ours: str
    difference: str = ""


def findings(result: Result) -> list[Finding]:
    """Return the findings on Figures 8 to 13."""
    makers: list[Callable[[Result], Finding]] = [_queue, _width, _precision, _speedup, _padding, _balance]
    return [_spaced(make(result)) for make in makers]


def deviations(result: Result) -> list[str]:
    """Return a sentence for every time that is further from Table IV's than the limits."""
    sentences = []
    for b in chosen(result):
        measured = result["benchmarks"][b.name]
        off = {
            "theoretical": (theoretical_us(measured) / b.theoretical_us - 1, THEORETICAL_LIMIT),
            "actual": (actual_us(measured) / b.actual_us - 1, ACTUAL_LIMIT),
        }
        beyond = [f"{kind} {_signed(value)}" for kind, (value, limit) in off.items() if abs(value) > limit]
        if beyond:
            sentences.append(_percent_signs(f"{b.name} ({', '.join(beyond)}): {_reason(b, measured, result)}"))
    return sentences


def _reason(b: Benchmark, measured: Result, result: Result) -> str:
    """Say which of the paper's data a deviation comes from."""
    entries, products = b.theoretical_entries, b.products
    text = (
        f"the paper's theoretical {b.theoretical_us} us are {entries:,.0f} entries on 64 PEs; "
        f"Table III's densities make {products:,.0f} products"
    )
    if b.name == "Alex-8":
        return text + _authors_vector(result)
    ours = measured["steps"][0]["entries"]
    trained = [layer for layer in result["trained_network"]["layers"] if layer["rows"] >= 100]
    ratio = max(layer["products_over_density"] for layer in trained)
    needed = entries / ours * b.activation_density
    text += (
        f", random ones with their padding {ours:,} entries. Tables III and IV do not fit each other here. Nor do they "
        f"for Alex-8, whose vector is denser than Table III says; with {needed:.1%} non-zeros in place of "
        f"{b.activation_density:.1%} they would. Or the layer makes more products than its densities would if they "
        f"were independent, as the LeNet below does (up to {ratio:.1f} times); Alex-8 does not."
    )
    paper, ours = b.theoretical_us / b.actual_us, theoretical_us(measured) / actual_us(measured)
    if ours - paper > _LESS_BALANCED:
        worst = max(trained, key=lambda layer: layer["random"]["load_balance"] - layer["real"]["load_balance"])
        text += (
            f" The real layer is less balanced, too: theoretical over actual time is {paper:.2f} in the paper, "
            f"{ours:.2f} here. So is LeNet's {worst['name']} on {worst['pes']} PEs, "
            f"{worst['real']['load_balance']:.2f} against {worst['random']['load_balance']:.2f} of a random layer "
            "like it."
        )
    return text


def _authors_vector(result: Result) -> str:
    """Say what the authors' own input of Alex-8 explains."""
    b, ours = AUTHORS_ALEX_8, result["authors_alex_8"]
    entries, ratio = published.AUTHORS_ALEX_8_ENTRIES, published.AUTHORS_ALEX_8_PRODUCTS
    return (
        f". The vector that the authors measured has {b.activation_density:.1%} non-zeros, not Table III's 37.5%: its "
        f"{entries:,} entries are {b.theoretical_us} us, and it takes {b.actual_us} us, as Table IV says. Products "
        f"over densities are {ratio}: weights do not depend on how often an input is active. A random layer at these "
        f"densities makes {ours['entries']:,} entries, {microseconds(ours['entries'] / PES):.2f} us, and takes "
        f"{microseconds(ours['cycles']):.2f} us here."
    )


def _queue(result: Result) -> Finding:
    depths, found = result["queue_depths"], _curves(result, "queue")
    first, eight, last = depths.index(min(depths)), depths.index(8), depths.index(max(depths))
    slots, paper = _mean(found["slots"]), _mean(found["paper"])
    ours = (
        f"Idle cycles are {1 - slots[first]:.0%} with a queue of depth {depths[first]}, {1 - slots[eight]:.0%} with 8 "
        f"and {1 - slots[last]:.0%} with {depths[last]}, if a column keeps its slot until it is worked off; on our "
        f"array {1 - paper[first]:.0%}, {1 - paper[eight]:.0%} and {1 - paper[last]:.0%}."
    )
    worst = min(found["paper"], key=lambda name: found["paper"][name][eight])
    if worst == "NT-We":
        ours += " NT-We is the poorest at every depth: its 600 rows are 9.4 a PE, often none of them in a column."
    difference = (
        "Our array idles less with shallow queues, because a column leaves its queue when it is begun, and because "
        "three slots of what is in flight come on top of the depth (eie.contract.pipeline.queue_high_water)."
    )
    return Finding("fig8_queue", "Figure 8: load balance against queue depth", _says("queue"), ours, difference)


def _width(result: Result) -> Finding:
    widths = result["word_bits"]
    name, reads = energy_benchmark(result)
    total = {bits: reads[bits] * energy.read_energy_pj(bits) / 1000 for bits in widths}
    best = min(total, key=lambda bits: total[bits])
    spent = published.PE_POWER_MW["sparse-matrix read"] * PES * actual_us(result["benchmarks"][name])
    ours = (
        f"On {name} words of {widths[0]} bits are read {reads[widths[0]]:,} times, of {best} bits {reads[best]:,} "
        f"times, of {widths[-1]} bits {reads[widths[-1]]:,} times. {best} bits take the least energy in total, "
        f"{total[best]:,.0f} nJ. By the power of Table II the sparse-matrix units take {spent:,.0f} nJ in the layer's "
        "time, their registers and clock included."
    )
    low, high = energy.fixed_bits_range(reads, published.WORD_BITS)
    difference = (
        "The paper took the energy of a read from a memory model and shows it as a curve without numbers. Here it is "
        "Table I's 5 pJ (32 bits, 32 KB), doubled for 128 KB, and split into a part that does not depend on the "
        f"width and one proportional to it. That the former equals {energy.FIXED_BITS:.0f} bits of the latter is "
        f"assumed; 64 bits are best for anything from {low:.0f} to {high:.0f} bits."
    )
    return Finding("fig9_width", "Figure 9: reads and energy against word width", _says("width"), ours, difference)


def energy_benchmark(result: Result) -> tuple[str, dict[int, int]]:
    """Return the benchmark of Figure 9, Alex-6 if it was measured, and its reads for each width."""
    names = [b.name for b in chosen(result)]
    name = "Alex-6" if "Alex-6" in names else names[0]
    reads = result["benchmarks"][name]["word_reads"]
    return name, dict(zip(result["word_bits"], reads, strict=True))


def _precision(result: Result) -> Finding:
    found = result["precision"]
    bits = found["bits"]
    each, single = (dict(zip(bits, found[kind], strict=True)) for kind in ("per_tensor", "single"))
    paper = published.PRECISION_ACCURACY
    ours = (
        f"LeNet-300-100 on {found['images']:,} MNIST images in place of a network on ImageNet: float32 "
        f"{found['float32']:.2f} %, int16 {each[16]:.2f} %."
    )
    if 32 in each:
        ours += f" int32 {each[32]:.2f} %, for which the paper's text has no number."
    if 8 in each:
        ours += f" int8 {single[8]:.2f} % with one format for the whole network, {each[8]:.2f} % with one per tensor."
    difference = (
        f"Digits are easier than ImageNet (the paper: {paper['float32']} %, int16 {paper['int16']} %, int8 "
        f"{paper['int8']} %), so more bits can go. With one format for weights and activations of all layers, 8 bits "
        "fail here too; with a format for each tensor they do nearly as well as 16. The paper does not say how it "
        "chose formats."
    )
    return Finding(
        "fig10_precision", "Figure 10: accuracy against arithmetic precision", _says("precision"), ours, difference
    )


def _speedup(result: Result) -> Finding:
    pes = result["pes"]
    speedups = {
        b.name: [result["benchmarks"][b.name]["pes"][0]["cycles"] / p["cycles"] for p in _pes(result, b)]
        for b in chosen(result)
    }
    at64, last = pes.index(64), len(pes) - 1
    base = pes[0]
    mean = geometric_mean(s[at64] for s in speedups.values())
    worst = min(speedups, key=lambda name: speedups[name][at64])
    ours = (
        f"64 PEs are {mean:.1f} times as fast as {base} in the geometric mean; the least is {worst} with "
        f"{speedups[worst][at64]:.1f} times."
    )
    if pes[last] > 64:
        more = geometric_mean(s[last] / s[at64] for s in speedups.values())
        table5 = published.FRAMES_PER_SECOND[256] / published.FRAMES_PER_SECOND[64]
        alone = table5 * 800 / published.CLOCK_256_MHZ
        ours += f" {pes[last]} PEs are {more:.2f} times as fast as 64."
        if "Alex-7" in speedups:
            alex7 = speedups["Alex-7"]
            ours += f" On Alex-7, the layer of Table V, it is {alex7[last] / alex7[at64]:.2f} times."
        ours += f" Table V's frames/s give {alone:.2f} times, once the clocks are divided out."
    difference = (
        "More than 64 times is due to the padding that more PEs save: with one PE gaps are the column's own. VGG's "
        "sparse layers gain most by that. With 256 PEs a PE has 2 to 35 rows, and few columns give each of them work."
    )
    return Finding("fig11_speedup", "Figure 11: speed-up against PEs", _says("speedup"), ours, difference)


def _padding(result: Result) -> Finding:
    pes = result["pes"]
    shares = {b.name: [1 - p["real_work"] for p in _pes(result, b)] for b in chosen(result)}
    worst = max(shares, key=lambda name: shares[name][0])
    falls = all(first >= second - 1e-3 for s in shares.values() for first, second in pairwise(s))
    ours = (
        f"On {worst}, the sparsest, padding is {shares[worst][0]:.0%} of all entries with {pes[0]} PE and "
        f"{shares[worst][-1]:.0%} with {pes[-1]}. It {'falls' if falls else 'does not always fall'} with every "
        "doubling of PEs, on all benchmarks."
    )
    return Finding("fig12_padding", "Figure 12: real work against PEs", _says("padding"), ours)


def _balance(result: Result) -> Finding:
    pes = result["pes"]
    balances = {b.name: [p["load_balance"] for p in _pes(result, b)] for b in chosen(result)}
    means = _mean(balances)
    worst = min(balances, key=lambda name: balances[name][-1])
    ours = (
        f"In the geometric mean {means[0]:.3f} with {pes[0]} PE, {means[pes.index(64)]:.3f} with 64 and "
        f"{means[-1]:.3f} with {pes[-1]}; the least is {worst} with {balances[worst][-1]:.3f}."
    )
    return Finding("fig13_balance", "Figure 13: load balance against PEs", _says("balance"), ours)


def summary(result: Result) -> str:
    """Return the outcome in two sentences."""
    benchmarks = result["benchmarks"]
    within = sum(
        abs(theoretical_us(benchmarks[b.name]) / b.theoretical_us - 1) <= THEORETICAL_LIMIT
        and abs(actual_us(benchmarks[b.name]) / b.actual_us - 1) <= ACTUAL_LIMIT
        for b in chosen(result)
    )
    first, last = (geometric_mean(benchmarks[name]["steps"][i]["utilisation"] for name in benchmarks) for i in (0, -1))
    least = min(benchmarks, key=lambda name: benchmarks[name]["steps"][-1]["utilisation"])
    paper = geometric_mean(b.utilisation for b in chosen(result))
    tiles = max(
        abs(actual_us(m) - microseconds(m["one_tile_cycles"]["paper"])) / actual_us(m) for m in benchmarks.values()
    )
    return _percent_signs(
        f"{within} of {len(benchmarks)} benchmarks are within {THEORETICAL_LIMIT:.0%} (theoretical) and "
        f"{ACTUAL_LIMIT:.0%} (actual) of Table IV; tiles, which the paper does not have, change no time by more than "
        f"{tiles:.1%}. Useful multiply-accumulates per PE and cycle, geometric mean: the paper {paper:.3f}, its "
        f"machine here {first:.3f}, the best machine {last:.3f} (least: {least}, "
        f"{benchmarks[least]['steps'][-1]['utilisation']:.3f})."
    )


def _pes(result: Result, benchmark: Benchmark) -> list[Result]:
    measured: list[Result] = result["benchmarks"][benchmark.name]["pes"]
    return measured


def _curves(result: Result, kind: str) -> dict[str, dict[str, list[float]]]:
    """Return curves by machine and benchmark."""
    benchmarks = result["benchmarks"]
    machines = next(iter(benchmarks.values()))[kind]
    return {machine: {name: measured[kind][machine] for name, measured in benchmarks.items()} for machine in machines}


def _mean(curves: dict[str, list[float]]) -> list[float]:
    return [geometric_mean(values) for values in zip(*curves.values(), strict=True)]


def _says(key: str) -> str:
    return published.STATEMENTS[key]


def _spaced(finding: Finding) -> Finding:
    texts = {name: _percent_signs(getattr(finding, name)) for name in ("paper", "ours", "difference")}
    return replace(finding, **texts)


def _percent_signs(text: str) -> str:
    """Set a percent sign apart from its number, as the tables do."""
    return re.sub(r"(?<=\d)%", " %", text)


def _signed(value: float) -> str:
    return f"{value:+.0%}"
