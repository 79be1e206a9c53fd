"""The driver: loads models onto a device, runs batches, reads counters, checks answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eie.arguments import real_array, require_type
from eie.contract.fixed_point import as_activations, dequantise, quantise
from eie.devices.interface import Device
from eie.errors import DeviceError, PackError, VerificationError
from eie.network.graph import Array
from eie.network.graph_model import GraphModel, unnamed
from eie.network.model import Model
from eie.network.recurrent_model import RecurrentModel
from eie.network.reference import as_sequences
from eie.runtime.chains import ChainRunner, Source, rows_of
from eie.runtime.graphs import Around, GraphRunner
from eie.runtime.recurrent import check_sequences, run_sequences, saturated_inputs
from eie.runtime.saturation import Saturation, warn_of
from eie.runtime.session import Session
from eie.runtime.streams import Stream


class Accelerator(Session):
    """An EIE array and the models loaded on it.

    Threads may share an accelerator: it does one thing after another. Several accelerators, notebooks or processes may
    take turns on one array: each finds out that another has been there, and loads its models again; two that run at the
    same moment get an error, never each other's answers.

    Parameters
    ----------
    device : Device or str
        A device, for example ``eie.EmulatedDevice(config)``, or its name: ``"emulated"``, ``"rtl"``, ``"auto"`` (this
        board, otherwise a virtual board or the emulation; `eie.devices.choice`), or a board's
        overlay, ``"eie.bit"``.
    retry : bool
        When a run fails with a `DeviceError`, recover and run it once more. Without it the error is raised, and the
        next run recovers first.

    Attributes
    ----------
    times : StageTimes
        Where the host's time went, per stage.
    saturation : Saturation
        Values of the last run at the ends of their range, of a graph all of its layers'. The first of a model come with
        an `AccuracyWarning`.

    Raises
    ------
    DeviceError
        If the device is not an EIE array, or was built from other parameters or another version.

    Examples
    --------
    >>> acc = eie.Accelerator(eie.EmulatedDevice(eie.ArrayConfig(num_pes=16)))
    >>> acc.load(model)
    >>> y = acc.run(x, verify=True)
    """

    def __init__(self, device: Device | str, *, retry: bool = False) -> None:
        self._current: Model | GraphModel | RecurrentModel | None = None
        self._states: dict[RecurrentModel, NDArray[np.int16]] = {}
        self._graphs: dict[GraphModel, GraphRunner] = {}
        self.saturation = Saturation(0, ())
        self._warned: set[Model | GraphModel | RecurrentModel] = set()
        super().__init__(device, retry)
        self._chains = ChainRunner(self._transfers)

    def load(self, model: Model | GraphModel | RecurrentModel | str | Path) -> Model | GraphModel | RecurrentModel:
        """Load a model, or a model file, and make it the one that `run` runs. Models stay loaded while they fit.

        The layers of a graph are sent when they are first needed: how they lie depends on the sizes of its inputs.
        """
        if isinstance(model, (str, Path)):
            from eie.model_file.container import load

            model = load(model)
        require_type(
            model, (Model, GraphModel, RecurrentModel), "model", "an eie.Model or the path of a model file", PackError
        )
        with self._lock:
            if isinstance(model, (Model, RecurrentModel)):
                chain = model
                self._attempt(lambda: self._load(chain))
            self._current = model
        return model

    def run(
        self,
        x: Any,
        *,
        verify: bool = False,
        model: Model | GraphModel | RecurrentModel | None = None,
        keep_states: bool = False,
    ) -> Any:
        """Run a batch of float inputs.

        Parameters
        ----------
        x : array_like, shape (B, C) or (C,), float
            Of a graph its input in its own shape; of several inputs a dict by name, or a tuple in order. Of a recurrent
            model sequences, shape (T, C) or (B, T, C).
        verify : bool
            Compare every output of the array with the integer reference.
        model : Model, GraphModel or RecurrentModel, optional
            Default: the one loaded last.
        keep_states : bool
            Of a recurrent model: go on with the states that the last run of as many sequences left, not with 0.

        Returns
        -------
        ndarray, shape (B, R) or (R,), float32
            Of a graph its output in its own shape and type; of several outputs a dict by name. Of a recurrent model
            shape (T, H) or (B, T, H).

        Raises
        ------
        VerificationError
            If an output differs; the message names the layer, row, PE and tile.
        """
        chosen = self._current if model is None else model
        if isinstance(chosen, RecurrentModel):
            return self._run_recurrent(chosen, x, verify, keep_states)
        if keep_states:
            raise PackError("keep_states is for recurrent models; a graph keeps states with stream")
        if isinstance(chosen, GraphModel):
            return unnamed(self.run_graph(chosen, x, verify))
        model = self._choose(chosen)
        x = real_array(x, "x", PackError)
        rows, bits = rows_of(model, x), model.input_fraction_bits
        with self._lock:
            outputs = self._run(model, lambda part: self._chains.quantise(rows[part], bits), len(rows))
            quantised = quantise(rows, bits) if verify else None
            self._check(model, quantised, outputs)
            self._warn(model, len(outputs))
            with self.times.stage("unpack"):
                y = dequantise(outputs, model.output_fraction_bits)
        return y[0] if x.ndim == 1 else y

    def run_graph(
        self, model: GraphModel, inputs: Any, verify: bool = False, around: Around | None = None
    ) -> dict[str, Array]:
        """Run a compressed graph; see `eie.runtime.graphs.GraphRunner.run`."""
        with self._lock:
            self._require_open()
            runner = self.graph_runner(model)
            outputs = runner.run(inputs, verify, around)
            self.saturation = runner.saturation
            self._warn(model, runner.vectors)
            return outputs

    def stream(
        self,
        model: GraphModel | None = None,
        states: Mapping[str, str] | None = None,
        initial: Mapping[str, ArrayLike] | None = None,
    ) -> Stream:
        """Return a network, by default the one loaded last, to be fed piece by piece; see `Stream`.

        Examples
        --------
        >>> stream = acc.stream(model, {"state": "stateN"})
        >>> voiced = [stream.run(piece) for piece in pieces]
        """
        chosen = self._current if model is None else model
        require_type(chosen, GraphModel, "model", "a compressed graph; a chain of layers has no states", PackError)
        return Stream(self, chosen, states or {}, initial or {})  # type: ignore[arg-type]

    def run_raw(self, a: ArrayLike, *, verify: bool = False, model: Model | None = None) -> NDArray[np.int16]:
        """Run a batch of int16 inputs in the model's fixed point: shape (B, C) -> int16, shape (B, R)."""
        with self._lock:
            outputs = self.run_layers(a, verify=verify, model=model)
            self._warn(self._choose(model), len(outputs))
        return outputs

    def run_layers(self, a: ArrayLike, *, verify: bool = False, model: Model | None = None) -> NDArray[np.int16]:
        """Do what `run_raw` does, but warn of nothing: for layers that are a part of more."""
        model = self._choose(model)
        activations = as_activations(a, model.columns)
        with self._lock:
            outputs = self._run(model, lambda part: activations[part], len(activations))
            self._check(model, activations if verify else None, outputs)
        return outputs

    def graph_runner(self, model: GraphModel) -> GraphRunner:
        """Return what runs a compressed graph here; it remembers how the layers lie on the array."""
        if model not in self._graphs:
            self._graphs[model] = GraphRunner(self, model)
        return self._graphs[model]

    def run_sequences(
        self, model: RecurrentModel, inputs: NDArray[np.int16], states: NDArray[np.int16], *, verify: bool = False
    ) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """Run a batch of sequences from given states; see `eie.network.reference.reference_sequence`."""

        def run() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
            results = run_sequences(self._transfers, self._load(model), inputs, states)
            if not self._ownership.holds():
                raise DeviceError("somebody else has taken the array in mid-run; run again to take it back")
            return results

        with self._lock:
            outputs, end = self._attempt(run)
            self.saturation = saturated_inputs(model, inputs)
            if verify:
                try:
                    check_sequences(model, inputs, states, outputs)
                except VerificationError:
                    self._failed = True
                    raise
        return outputs, end

    def _run_recurrent(self, model: RecurrentModel, x: Any, verify: bool, keep_states: bool) -> NDArray[np.float32]:
        batch = as_sequences(model, x)
        inputs = quantise(batch, model.input_fraction_bits)
        with self._lock:
            states = self._states.get(model) if keep_states else None
            if states is None:
                states = model.zero_states(len(inputs))
            if len(states) != len(inputs):
                raise PackError(f"{len(inputs)} sequences; states are kept of {len(states)}")
            outputs, self._states[model] = self.run_sequences(model, inputs, states, verify=verify)
            self._warn(model, inputs.shape[0] * inputs.shape[1])
        y = dequantise(outputs, model.output_fraction_bits)
        return y[0] if np.ndim(x) == 2 else y

    def _choose(self, model: Any) -> Model:
        chosen = self._current if model is None else model
        if chosen is None:
            raise PackError("no model is loaded; call load(model) first")
        if isinstance(chosen, GraphModel):
            raise PackError(f"model {chosen.name!r} is a graph: its inputs are no fixed point; use run")
        if isinstance(chosen, RecurrentModel):
            raise PackError(f"model {chosen.name!r} is recurrent: it has states beside its inputs; use run")
        require_type(chosen, Model, "model", "an eie.Model", PackError)
        return chosen

    def _run(self, model: Model, source: Source, batch: int) -> NDArray[np.int16]:
        """Run a batch whose activations `source` gives slice by slice."""

        def run() -> NDArray[np.int16]:
            outputs = self._chains.run(self._load(model), source, batch)
            if not self._ownership.holds():
                raise DeviceError("somebody else has taken the array in mid-run; run again to take it back")
            return outputs

        return self._attempt(run)

    def _warn(self, model: Model | GraphModel | RecurrentModel, vectors: int) -> None:
        """Warn of what saturated in the last run, of each model once."""
        if self.saturation.known and model not in self._warned:
            self._warned.add(model)
            warn_of(self.saturation, model, vectors)

    def _check(self, model: Model, inputs: NDArray[np.int16] | None, outputs: NDArray[np.int16]) -> None:
        """Compare with the reference, if inputs are given; count what saturated."""
        packed = self._load(model)  # it is there
        try:
            self.saturation = self._chains.check(
                packed, inputs, outputs, lambda layer, a: self.run_layers(a, model=layer)
            )
        except VerificationError:
            # What is on the device may be damaged: the next run loads it again.
            self._failed = True
            raise
