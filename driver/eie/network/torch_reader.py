"""Reader of PyTorch modules and exported programs, through PyTorch's own ONNX export."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any
from unittest import mock

import numpy as np

from eie.errors import MissingExtraError, NetworkError
from eie.network.evaluation import evaluate
from eie.network.graph import Graph

_OFF = 0.1
"""Root mean square of a difference, in units of the outputs', beyond which a graph is another than its module: one
rounding that falls the other way, as it may where activations are quantised, makes less."""


def is_torch(source: Any) -> bool:
    """Say whether something is a ``torch.nn.Module`` or a ``torch.export.ExportedProgram``, without importing torch."""
    return any(
        base.__module__.split(".")[0] == "torch" and base.__name__ in ("Module", "ExportedProgram")
        for base in type(source).__mro__
    )


def torch_to_onnx(source: Any, example: Any) -> Any:
    """Return the ``onnx.ModelProto`` that PyTorch exports.

    Parameters
    ----------
    source : torch.nn.Module or torch.export.ExportedProgram
    example : array_like, tuple or dict of them
        Inputs to trace a module with; their first dimension is a batch. An exported program has its own.

    Raises
    ------
    NetworkError
        If PyTorch cannot export it.
    """
    import torch

    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("reading PyTorch modules needs onnx: pip install 'eie-pynq[onnx]'") from error
    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the exporter leaves for later versions
            warnings.filterwarnings("error", ".*this will cause the ONNX model to be incorrect")  # index_add's
            if not isinstance(source, torch.nn.Module):
                torch.onnx.export(source, f=file, dynamo=True)  # type: ignore[arg-type]
            else:
                _export_module(torch, source, _plain_example(torch, source) if example is None else example, file)
    except ImportError as error:
        raise MissingExtraError(f"PyTorch's export needs a package: {error}") from error
    except Exception as error:
        raise NetworkError(f"PyTorch cannot export the module: {' '.join(str(error).split())}") from error
    return onnx.load_from_string(file.getvalue())


def check_export(module: Any, example: Any, graph: Graph) -> None:
    """Raise `NetworkError` if a graph computes something else than the module that it was exported of.

    The exporter follows one run of a module. What changes from run to run, and what the module decides in Python by
    the values that it sees, is not in the graph. So both compute the last of the examples, too.
    """
    import torch

    named = _by_name(_plain_example(torch, module) if example is None else example)
    tensors = {name: torch.as_tensor(x) for name, x in named.items()}
    with _inference(torch, module), torch.no_grad():
        try:
            given = {name: x[-2:] if x.ndim else x for name, x in tensors.items()}
            outputs = module(*given.values())
        except Exception:  # inputs without a batch
            given = tensors
            outputs = module(*given.values())
    wanted = [x.detach().cpu().numpy() for x in _tensors(torch, outputs)]
    known = {value.name for value in graph.inputs}
    found = evaluate(graph, {name: x.detach().cpu().numpy() for name, x in given.items() if name in known})
    if len(wanted) != len(found):
        return
    for (name, got), want in zip(found.items(), wanted, strict=True):
        if got.shape != want.shape:
            raise NetworkError(f"{_ANOTHER}: output {name!r} has the shape {got.shape}, not {want.shape}")
        if want.dtype.kind != "f" or not (np.isfinite(want).all() and np.isfinite(got).all()):
            continue
        size, off = (float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) for x in (want, got - want))
        if want.size and off > _OFF * size:
            raise NetworkError(f"{_ANOTHER}: output {name!r} is off by {off:.3g}, of {size:.3g}")


_ANOTHER = (
    "what PyTorch exports of the module computes something else than the module does; perhaps it keeps a state, which "
    "should be an input and an output, draws random numbers, or decides by its inputs' values in Python"
)


def _by_name(example: Any) -> dict[str, Any]:
    """Return example inputs by the names that they have in the graph."""
    if isinstance(example, Mapping):
        return dict(example)
    given = example if isinstance(example, tuple) else (example,)
    return {f"input{i}" if i else "input": x for i, x in enumerate(given)}


def _tensors(torch: Any, outputs: Any) -> Iterator[Any]:
    """Yield the tensors of what a module returns, in order."""
    if isinstance(outputs, torch.Tensor):
        yield outputs
    elif isinstance(outputs, (tuple, list, Mapping)):
        for part in outputs.values() if isinstance(outputs, Mapping) else outputs:
            yield from _tensors(torch, part)


@contextmanager
def _inference(torch: Any, module: Any) -> Iterator[None]:
    """Have a module infer, by operators that ONNX has."""
    mode, fast = module.training, torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole encoder layer, which ONNX lacks
        module.eval()
        yield
    finally:
        module.train(mode)
        torch.backends.mha.set_fastpath_enabled(fast)


def _export_module(torch: Any, module: Any, example: Any, file: io.BytesIO) -> None:
    tensors = {name: torch.as_tensor(x) for name, x in _by_name(example).items()}
    pairs = {name: x[:2] if x.ndim else x for name, x in tensors.items()}
    batch = {name: {0: "batch"} if x.ndim else {} for name, x in tensors.items()}
    attempts = [partial(_trace, torch, module, list(pairs.values()), batch)]
    if len(tensors) > 1:  # inputs without a batch, as the nodes and edges of a graph
        sizes = {name: {i: f"{name}_{i}" for i in range(x.ndim)} for name, x in tensors.items()}
        attempts.append(partial(_trace, torch, module, list(tensors.values()), sizes))
    traced = len(attempts)
    if find_spec("onnxscript"):  # operators that only PyTorch's newer exporter has
        attempts.append(partial(_trace, torch, module, list(pairs.values()), batch, dynamo=True))
    errors = []
    with _inference(torch, module):
        for attempt in attempts:
            try:
                attempt(file)
            except Exception as error:
                errors.append(error)
                file.truncate(file.seek(0))
            else:
                return
    raise errors[traced - 1]


def _trace(
    torch: Any,
    module: Any,
    tensors: list[Any],
    axes: dict[str, dict[int, str]],
    file: io.BytesIO,
    *,
    dynamo: bool = False,
) -> None:
    """Export what a module computes of these inputs, of which such dimensions are open and have these names."""
    given: dict[str, Any] = {"dynamic_axes": axes}
    if dynamo:
        dimensions = {name: torch.export.Dim(name) for sizes in axes.values() for name in sizes.values()}
        given = {"dynamic_shapes": tuple({i: dimensions[name] for i, name in s.items()} for s in axes.values())}
    quiet = mock.patch.object(torch._C, "_jit_onnx_log", lambda *_: None, create=True)
    with torch.no_grad(), quiet:  # or the whole network is printed where it cannot be exported
        torch.onnx.export(module, tuple(tensors), file, input_names=list(axes), dynamo=dynamo, verbose=False, **given)


def _plain_example(torch: Any, module: Any) -> Any:
    """Return inputs for a module that begins with a fully connected layer, whose size is known."""
    leaves = [part for part in module.modules() if not list(part.children())]
    shapeless = (torch.nn.Flatten, torch.nn.Dropout, torch.nn.Identity, torch.nn.ReLU)
    first = next((part for part in leaves if not isinstance(part, shapeless)), None)
    if not isinstance(first, torch.nn.Linear):
        raise NetworkError("a PyTorch module is exported with example inputs: give calibration")
    return torch.zeros(2, first.in_features, dtype=first.weight.dtype)
