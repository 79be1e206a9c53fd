"""What others have measured and published: data, each with its source."""

from __future__ import annotations

from dataclasses import dataclass

TINY_07 = "mlcommons/tiny_results_v0.7, open/hls4ml-finn"
TINY_11 = "mlcommons/tiny_results_v1.1, closed/fpgaconvnet"
FINN_1499 = "Xilinx/finn, pull request 1499"


@dataclass(frozen=True)
class Published:
    """A row of somebody else's.

    Parameters
    ----------
    task, engine, board, network : str
    rate : float or None
        Inferences, steps or tokens a second.
    quality, resources, source : str
    microjoules : float or None
        Of an inference, the board's.
    """

    task: str
    engine: str
    board: str
    network: str
    rate: float | None
    source: str
    quality: str = ""
    resources: str = ""
    microjoules: float | None = None


ROWS = (
    Published("keywords", "FINN W3A3", "PYNQ-Z2, 100 MHz", "490-256-256-256-12", 57_268, TINY_07, "82.5 %", "", 30.7),
    Published("keywords", "FINN W3A3", "Arty A7-100T", "490-256-256-256-12", 30_152, TINY_07, "82.5 %", "", 53.7),
    Published("keywords", "FINN", "AUP-ZU3", "490-256-256-256-12", 268_672, FINN_1499),
    Published(
        "keywords", "fpgaConvNet", "ZedBoard", "DS-CNN", 3_088, TINY_11, "91.1 %", "37K LUT, 188 DSP, 97 BRAM"
    ),
    Published("anomalies", "hls4ml AD08", "PYNQ-Z2", "64-72-72-8-72-72-64", 53_365, TINY_07, "AUC 0.83", "", 30.0),
    Published("images", "FINN CNV-W1A1", "PYNQ-Z2", "CNV", 661, TINY_07, "84.5 %", "", 2_521),
    Published("images", "hls4ml RN07", "PYNQ-Z2", "ResNet", 36.6, TINY_07, "83.5 %", "", 44_179),
    Published(
        "images", "fpgaConvNet", "ZedBoard, 143 MHz", "ResNet-8", 2_431, TINY_11, "86.0 %", "47K LUT, 211 DSP, 93 BRAM"
    ),
    Published(
        "recurrent", "EdgeDRNN", "MiniZed", "2-layer GRU, 5 M parameters", 2_000, "Gao et al., EdgeDRNN, JETCAS 2020",
        "20.2 GOp/s at 2.42 W",
    ),
    Published(
        "recurrent", "ESE", "XCKU060, 200 MHz", "LSTM, sparse", None, "Han et al., ESE, FPGA 2017",
        "282 GOPS sparse at 41 W",
    ),
    Published(
        "recurrent", "Spartus", "Zynq-7100", "LSTM-1024, 94-96 % sparse", 1_000_000, "Gao et al., Spartus, TNNLS 2022"
    ),
    Published("paper", "EIE chip", "45 nm, 800 MHz", "Alex-7", 81_967, "Han et al., EIE, ISCA 2016", "", "", 7.2),
    Published("language", "KV260 LLaMA2-7B W4", "KV260", "LLaMA2-7B", 5, "arXiv 2502.10659"),
    Published("language", "TeLLMe, ternary", "KV260", "ternary", 25, "TeLLMe", "5 W"),
)  # fmt: skip
"""By task."""


@dataclass(frozen=True)
class Power:
    """What a board takes under load, least and most of what is published.

    Parameters
    ----------
    watts : tuple of float
    source : str
    """

    watts: tuple[float, float]
    source: str


KRIA_APPS = "AMD, kria-apps-docs, KV260 smart camera, hardware accelerator"
# Energy times rate: what MLPerf Tiny's energy meter saw of the whole board.
_PYNQ_Z2 = [
    1e-6 * row.microjoules * row.rate
    for row in ROWS
    if row.source == TINY_07 and row.board.startswith("PYNQ-Z2") and row.microjoules and row.rate
]
BOARD_POWER = {
    "PYNQ-Z2": Power((min(_PYNQ_Z2), max(_PYNQ_Z2)), f"energy times rate of its rows in {TINY_07}"),
    "Kria KV260": Power((5.0, 7.9), f"TeLLMe, and the K26 with a DPU as estimated by {KRIA_APPS}"),
    "ZCU104": Power((5.0, 7.9), "none found; the KV260's, whose chip is of the same family and half as large"),
}
"""By the board's title."""
