"""What a reader of the tables has to know: the notes of the report and of docs/paper.md."""

from __future__ import annotations

from typing import Any

NOTES = {
    "about": "The tables and figures of EIE (Han et al., ISCA 2016, arXiv:1602.01528), from the cycle model of this "
    "project's array, which equals the counters of its hardware cycle for cycle. The nine benchmarks have random "
    "weights and activations at the shapes and densities of Table III; the paper's trained weights are not at hand.",
    "times": "Theoretical: all entries of the columns that are broadcast, padding included, over 64 PEs at 800 MHz. "
    "Actual: cycles of the paper's machine, ArrayConfig.paper(), on this array. Its tiles and latencies are this "
    "project's, not the paper's; the last column is what tiles cost against an array with room for the layer. It is "
    "negative where a tile of fewer rows saves more padding than it costs (NT-Wd has 138 rows a PE, the accumulators "
    "are 64).",
    "utilisation": "Products of non-zero weights and non-zero activations, over PEs times cycles. Paper: the "
    "products of Table III's densities over Table IV's actual times. Paper-mode: ArrayConfig.paper(). Best mode: the "
    "default array with memories as deep as the paper's. With room for the layer: the same with memories that hold "
    "all its columns at once; VGG-6 and Alex-6 gain, for in best mode their inputs do not fit the 8,192 activations "
    "on chip beside the outputs, and pass through in chunks. Board's memories: the default array, ArrayConfig(), "
    "which fits the PYNQ-Z2. What tiles lose are the pipeline's start and the wait for the slowest PE at the end of "
    "each. Loading of weights, where they do not stay on chip, is not in these cycles.",
    "ablation": "Each line has one parameter more of the best machine. Memories are the paper's throughout. Rows are "
    "assigned by their numbers of non-zeros over all columns, so with a given vector chance can make a layer worse, "
    "too.",
    "energy": "Table II gives 64 PEs and their non-zero detection 586.5 mW, Table V 590 mW. At 800 MHz and the 0.59 "
    "W of the paper's chip, for the paper's actual times and for ours on its machine. The power of an FPGA board is "
    "unknown. The last three columns are the speed-up over the Core i7-5930K (dense, batch 1) by the labels of "
    "Figure 6, by Table IV, and by our cycles.",
    "trained": "LeNet-300-100, as it ships with the project, on MNIST test images, on the paper's machine with few "
    "PEs, because its layers are small. Products over densities: how many products of non-zeros there are, over what "
    "the two densities make if they are independent. Where it is above 1, times are longer than the densities say. "
    "The paper's Alex-8 with the authors' vector has 1.003.",
    "method": "Cycles and entries are from eie.cycles; queue depths, PEs and word widths from the same timing with a "
    "layer encoded once, and memories with room for it.",
}


def model_times(result: dict[str, Any]) -> list[str]:
    """Return sentences on how long the cycle model took; empty if that was not measured."""
    if "times" not in result:
        return []
    times = result["times"]
    sentences = [
        f"{name}: packing took {t['pack_seconds']:.2f} s of processor time, eie.cycles of the packed layer "
        f"{t['cycles_seconds'] * 1000:.0f} ms, of which the timing recurrence {t['timing_seconds'] * 1000:.0f} ms."
        for name, t in times["model"].items()
    ]
    return [f"The whole evaluation took {times['total_seconds']:.0f} s on this machine.", *sentences]
