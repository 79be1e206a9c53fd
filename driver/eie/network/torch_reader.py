"""Reader of PyTorch modules and exported programs, through PyTorch's own ONNX export."""

from __future__ import annotations

import io
import warnings
from typing import Any

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
    tensors = tuple(torch.as_tensor(x)[:2] for x in given)
    names = list(named) if named else [f"input{i}" if i else "input" for i in range(len(tensors))]
    mode, fast = module.training, torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole encoder layer, which ONNX lacks
        module.eval()
        with torch.no_grad():
            torch.onnx.export(
                module,
                tensors,
                file,
                input_names=names,
                dynamic_axes={name: {0: "batch"} for name in names},
                dynamo=False,
            )
    finally:
        module.train(mode)
        torch.backends.mha.set_fastpath_enabled(fast)


def _plain_example(torch: Any, module: Any) -> Any:
    """Return inputs for a module that begins with a fully connected layer, whose size is known."""
    leaves = [part for part in module.modules() if not list(part.children())]
    shapeless = (torch.nn.Flatten, torch.nn.Dropout, torch.nn.Identity, torch.nn.ReLU)
    first = next((part for part in leaves if not isinstance(part, shapeless)), None)
    if not isinstance(first, torch.nn.Linear):
        raise NetworkError("a PyTorch module is exported with example inputs: give calibration")
    return torch.zeros(2, first.in_features, dtype=first.weight.dtype)
