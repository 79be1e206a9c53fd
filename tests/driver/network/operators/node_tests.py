"""ONNX's own node tests, which its wheel brings, run through the operators; the table of docs/networks.md.

python -m tests.driver.network.operators.node_tests     # writes the table into the page
"""

from __future__ import annotations

import functools
import importlib
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

import eie
from eie.errors import NetworkError
from eie.network.evaluation import check_inputs, evaluate
from eie.network.graph import CONTROL, Graph, constant_values, find_operator
from eie.network.onnx_reader import read_onnx
from eie.network.operators import LINEAR, OPERATORS
from tests.driver.network.operators.sequence_ends import with_tensors

PAGE = Path(__file__).parents[4] / "docs" / "networks.md"
START, END = "<!-- node tests -->\n", "<!-- end of node tests -->\n"

MODULES = {
    "activations": "relu leakyrelu clip prelu sigmoid tanh hardsigmoid hardswish gelu erf elu celu selu softplus "
    "softsign mish swish thresholdedrelu exp log sqrt reciprocal abs neg floor ceil round sign sin cos "
    "tan asin acos atan sinh cosh asinh acosh atanh shrink hardmax",
    "arithmetic": "add sub mul div pow mod min max sum mean where equal less less_or_equal greater greater_or_equal "
    "and_ or_ xor not_ isnan isinf identity dropout cast castlike bitwiseand bitwiseor bitwisexor bitwisenot "
    "bitshift",
    "linear maps": "gemm matmul conv convtranspose",
    "recurrent layers": "lstm gru rnn",
    "pooling": "maxpool averagepool lppool globalaveragepool globalmaxpool",
    "normalisation": "softmax logsoftmax layernormalization rmsnormalization batch_normalization "
    "instance_normalization lpnormalization lrn cumsum cumprod det groupnormalization meanvariancenormalization",
    "reduction": "reducemean reducesum reducemax reducemin reduceprod reducel1 reducel2 reducesumsquare argmax argmin "
    "reduce_log_sum reduce_log_sum_exp",
    "movement": "reshape flatten squeeze unsqueeze transpose concat split slice gather gatherelements pad expand tile "
    "shape size constant constantofshape rangeop depthtospace spacetodepth",
    "indexing": "gathernd scatterelements scatternd trilu topk einsum nonzero onehot eyelike reversesequence compress "
    "unique",
    "resizing": "resize upsample center_crop_pad",
    "detection": "nonmaxsuppression roialign gridsample affinegrid",
    "signals": "dft stft melweightmatrix hannwindow hammingwindow blackmanwindow",
    "attention": "attention rotaryembedding flexattention linear_attention swiglu",
    "quantisation": "quantizelinear dequantizelinear dynamicquantizelinear matmulinteger convinteger qlinearmatmul "
    "qlinearconv",
    "control": "if_ loop scan",
    "sequences": "sequence sequenceinsert splittosequence sequence_map optionalgetelement optionalhaselement",
}
"""The modules of onnx.backend.test.case.node, one for each operator: importing one makes its cases. That of several
sequence operators is among onnx's small models."""

NAMES = {
    "rangeop": "Range",
    "upsample": "Upsample",
    "sequence": "ConcatFromSequence, SequenceAt, SequenceConstruct, SequenceEmpty, SequenceErase, SequenceInsert, "
    "SequenceLength and SplitToSequence",
}
"""Operators that their module does not have the name of."""

OUT_OF_SCOPE = {
    "is none of numpy's numbers": "types that numpy has not: bfloat16, float8, 4 bits, text",
    "training mode": "training",
    "is no tensor but a": "optional values",
    "optional value without a tensor": "optional values",
    "Resize of": "antialiasing; crops; interpolated integers",
    "gives 1 outputs here; the graph wants 2": "indices beside the values",
    "operator set 1 is too old": "files of before operator set 7",
}
"""What the operators refuse, by the words of the error, and why."""


@dataclass
class Outcome:
    """What became of an operator's node tests.

    Parameters
    ----------
    passed : list of str
    refused : dict of str to list of str
        By reason.
    array : dict of str to float
        Errors of the array's results, in units of the largest output, of the tests that it can run.
    """

    passed: list[str] = field(default_factory=list)
    refused: dict[str, list[str]] = field(default_factory=dict)
    array: dict[str, float] = field(default_factory=dict)


@functools.cache
def run(module: str) -> Outcome:
    """Run the node tests of an operator; a wrong result is an `AssertionError`, and so is a refusal without reason."""
    outcome = Outcome()
    for case in _cases(module):
        model, inputs, wanted = with_tensors(case)
        try:
            graph = read_onnx(model)
            given = check_inputs(graph, dict(zip((value.name for value in graph.inputs), inputs, strict=False)))
            outputs, shapes = _evaluate(graph, given)
        except NetworkError as error:
            reason = next((why for words, why in OUT_OF_SCOPE.items() if re.search(words, str(error))), None)
            assert reason, f"{case.name}: {error}"
            outcome.refused.setdefault(reason, []).append(case.name)
            continue
        for (name, got), want in zip(outputs.items(), wanted, strict=True):
            assert got.dtype == want.dtype and got.shape == want.shape, case.name
            assert shapes.get(name, got.shape) == got.shape, f"{case.name}: shape rule"
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-6, err_msg=case.name)
        outcome.passed.append(case.name)
        error = _error_on_the_array(graph, given, wanted)
        if error is not None:
            outcome.array[case.name] = error
    return outcome


def _cases(module: str) -> list[onnx.backend.test.case.test_case.TestCase]:
    package = "model" if module == "sequence" else "node"
    base = importlib.import_module(f"onnx.backend.test.case.{package}")
    cases = base._SimpleModelTestCases if package == "model" else base._NodeTestCases
    already = len(cases)
    importlib.import_module(f"onnx.backend.test.case.{package}.{module}")
    return [case for case in cases[already:] if case.model is not None]


def _evaluate(graph: Graph, inputs: dict) -> tuple[dict, dict]:
    """Return a graph's outputs, and what the shape rules say of every tensor, as the evaluation reaches it."""
    shapes = {}

    def hook(node, values):
        attributes = node.attributes
        if attributes.get("num_outputs") == 0:
            attributes = {**attributes, "num_outputs": len(node.outputs)}
        found = find_operator(node.operator).shape(*values, **attributes)
        shapes.update(zip(node.outputs, found if isinstance(found, list) else [found], strict=False))
        return None

    return evaluate(graph, inputs, hook), shapes


def _error_on_the_array(graph: Graph, inputs: dict, wanted: list) -> float | None:
    """Return the largest error on the array, relative to the largest output; None of what is no linear map there.

    All but the first input are then the network's weights.
    """
    first = next(iter(inputs), None)
    if not any(node.operator in LINEAR for node in graph.nodes) or first is None:
        return None
    fixed = {name: value for name, value in inputs.items() if name != first}
    values = [value for value in graph.inputs if value.name == first]
    graph = Graph(graph.nodes, values, graph.outputs, {**graph.constants, **fixed}, graph.name)
    linear = [node for node in graph.nodes if node.operator in LINEAR]
    if not any(
        LINEAR[node.operator].weights(constant_values(node, graph.constants), node.attributes) for node in linear
    ):
        return None
    if any(not y.size or y.dtype != np.float32 for y in wanted):
        return None
    model = eie.compress(graph, 1.0, inputs[first], method="magnitude", terms=2)
    with eie.Accelerator("emulated") as accelerator:
        found = accelerator.run(inputs[first], model=model, verify=True)
    outputs = list(found.values()) if isinstance(found, dict) else [found]
    largest = max(float(np.abs(y).max()) for y in wanted)
    pairs = zip(wanted, outputs, strict=True)
    return max(float(np.abs(y - z.reshape(y.shape)).max()) for y, z in pairs) / (largest or 1.0)


def names() -> dict[str, str]:
    """Return the operator of each module."""
    known = {name.lower(): name for name in (*OPERATORS, *CONTROL)}
    schemas = {schema.name.lower(): schema.name for schema in onnx.defs.get_all_schemas()}
    plain = {module: module.replace("_", "") for text in MODULES.values() for module in text.split()}
    return {module: NAMES.get(module) or known.get(key) or schemas[key] for module, key in plain.items()}


def table() -> str:
    """Return the outcomes as Markdown."""
    operators = names()
    lines = [
        f"Of onnx {onnx.__version__}'s node tests so many pass, of so many. What is out of scope is refused by name.",
        "",
        "| family | passed of all |",
        "|---|---|",
    ]
    reasons: dict[str, list[str]] = {}
    total = passed = array = 0
    for family, text in MODULES.items():
        cells = []
        for module in text.split():
            outcome, name = run(module), operators[module]
            out = sum(map(len, outcome.refused.values()))
            good = len(outcome.passed)
            cells.append(f"{name} {good}" + (f" of {good + out}" if out else ""))
            total, passed, array = total + good + out, passed + good, array + len(outcome.array)
            for why, cases in outcome.refused.items():
                reasons.setdefault(why, []).append(f"{name} {len(cases)}")
        lines.append(f"| {family} | {', '.join(cells)} |")
    lines.append(f"| **all** | {passed:,} of {total:,}; {array} of them on the array too |")
    lines += ["", "| out of scope | tests |", "|---|---|"]
    lines += [f"| {why} | {', '.join(who)} |" for why, who in sorted(reasons.items())]
    return "\n".join(lines) + "\n"


def main() -> None:
    page = PAGE.read_text()
    before, rest = page.split(START)
    PAGE.write_text(before + START + table() + END + rest.split(END)[1])


if __name__ == "__main__":
    sys.exit(main())
