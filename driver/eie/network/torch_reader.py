"""Reader of PyTorch modules and exported programs, through PyTorch's own ONNX export."""

from __future__ import annotations

import io
import warnings
from functools import partial
from typing import Any
from unittest import mock

from eie.errors import MissingExtraError, NetworkError


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
                _export_module(torch, source, example, file)
    except ImportError as error:
        raise MissingExtraError(f"PyTorch's export needs a package: {error}") from error
    except Exception as error:
        raise NetworkError(f"PyTorch cannot export the module: {' '.join(str(error).split())}") from error
    return onnx.load_from_string(file.getvalue())


def _export_module(torch: Any, module: Any, example: Any, file: io.BytesIO) -> None:
    if example is None:
        example = _plain_example(torch, module)
    named = example if isinstance(example, dict) else None
    given = list(example.values()) if named else list(example) if isinstance(example, tuple) else [example]
    names = list(named) if named else [f"input{i}" if i else "input" for i in range(len(given))]
    tensors = [torch.as_tensor(x) for x in given]
    export = partial(_trace, torch, module)
    mode, fast = module.training, torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole encoder layer, which ONNX lacks
        module.eval()
        try:
            pairs = [x[:2] if x.ndim else x for x in tensors]
            export(pairs, {name: {0: "batch"} if x.ndim else {} for name, x in zip(names, pairs)}, file)  # noqa: B905
        except Exception:
            if len(tensors) == 1:
                raise
            file.truncate(file.seek(0))  # inputs without a batch, as the nodes and edges of a graph
            sizes = {name: [f"{name}_{i}" for i in range(x.ndim)] for name, x in zip(names, tensors)}  # noqa: B905
            export(tensors, {name: dict(enumerate(size)) for name, size in sizes.items()}, file)
    finally:
        module.train(mode)
        torch.backends.mha.set_fastpath_enabled(fast)


def _trace(torch: Any, module: Any, tensors: list[Any], axes: dict[str, dict[int, str]], file: io.BytesIO) -> None:
    """Export what a module computes of these inputs, of which such dimensions are open and have these names."""
    quiet = mock.patch.object(torch._C, "_jit_onnx_log", lambda *_: None, create=True)
    with torch.no_grad(), quiet:  # or the whole network is printed where it cannot be exported
        torch.onnx.export(module, tuple(tensors), file, input_names=list(axes), dynamic_axes=axes, dynamo=False)


def _plain_example(torch: Any, module: Any) -> Any:
    """Return inputs for a module that begins with a fully connected layer, whose size is known."""
    leaves = [part for part in module.modules() if not list(part.children())]
    shapeless = (torch.nn.Flatten, torch.nn.Dropout, torch.nn.Identity, torch.nn.ReLU)
    first = next((part for part in leaves if not isinstance(part, shapeless)), None)
    if not isinstance(first, torch.nn.Linear):
        raise NetworkError("a PyTorch module is exported with example inputs: give calibration")
    return torch.zeros(2, first.in_features, dtype=first.weight.dtype)
