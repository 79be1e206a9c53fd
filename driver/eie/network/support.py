"""The operators that are read, as the table of docs/networks.md."""

from __future__ import annotations

from eie.network.graph import CONTROL
from eie.network.operators import OPERATORS

_READERS = {
    "Quant": "QONNX",
    "BipolarQuant": "QONNX",
    "MultiThreshold": "QONNX",
    "ArrayFeatureExtractor": "ONNX-ML",
}
"""Readers of operators that are not of ONNX itself."""
_HELD = {
    "If": "`then_branch`, `else_branch`",
    "Loop": "`body`",
    "Scan": "`body`, `num_scan_inputs`, `scan_input_axes`, `scan_input_directions`, `scan_output_axes`, "
    "`scan_output_directions`",
}
"""Attributes of the operators that hold graphs."""
_EXTENSIONS = ("flattened", "weight_rank", "cell", "input_bits")
"""Attributes that the package adds."""


def support_table() -> str:
    """Return a line of Markdown for each operator: where it runs, who reads it, which attributes are known."""
    lines = ["| operator | family | runs on | read from | attributes |", "|---|---|---|---|---|"]
    for name, operator in sorted(OPERATORS.items()):
        known = ", ".join(f"`{key}`" for key in operator.attributes if key not in _EXTENSIONS)
        where = "array, where its weights are constant" if operator.where == "array" else "host"
        reader = _READERS.get(name, "ONNX, PyTorch")
        lines.append(f"| {name} | {operator.family} | {where} | {reader} | {known} |")
    for name in CONTROL:
        lines.append(f"| {name} | graph | where what it holds does | ONNX, PyTorch | {_HELD[name]} |")
    return "\n".join(lines)
