"""An array held by a program: reset, recovered after errors, its models sent, one thread at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from types import MappingProxyType, TracebackType
from typing import TypeVar, overload

from eie.contract import registers
from eie.devices.choice import as_device
from eie.devices.interface import Device, check_identity
from eie.errors import DeviceError
from eie.network.model import Model
from eie.network.recurrent_model import RecurrentModel
from eie.program.packing import PackedModel
from eie.program.recurrent import PackedRecurrent
from eie.runtime.counters import Counters, read_counters
from eie.runtime.ownership import Ownership
from eie.runtime.placing import Packed, Placed, Placing
from eie.runtime.transfers import Transfers

_Result = TypeVar("_Result")
_Self = TypeVar("_Self", bound="Session")


class Session:
    """The life of an array, and of what is on it; `eie.Accelerator` adds the runs.

    Parameters
    ----------
    device : Device or str
    retry : bool
        When an action fails with a `DeviceError`, recover and do it once more.
    """

    def __init__(self, device: Device | str, retry: bool) -> None:
        self.device = device = as_device(device)
        self.config = device.config
        self.retry = retry
        check_identity(device)
        self._transfers = Transfers(device)
        self.times = self._transfers.times
        self._placing = Placing(self.config)
        self._failed = False
        self._lock = RLock()
        self._closed = False
        self._ownership = Ownership(device)
        self.soft_reset()

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Free the buffers and the device."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._transfers.release()
                self.device.close()

    def soft_reset(self) -> None:
        """Put the device back to its first state; loaded models are sent again when they are next run."""
        with self._lock:
            self._require_open()
            self.device.write_register(registers.offset("control"), registers.CONTROL_SOFT_RESET)
            self._transfers.begin()
            self._placing.clear()
            self._failed = False
            self._ownership.take()

    def recover(self) -> None:
        """Make the device usable after an error: reset it and its DMA, and load again what was loaded."""
        with self._lock, self._guard():
            loaded = list(self._placing.loaded)
            check_identity(self.device)  # another overlay may have been loaded meanwhile
            self.soft_reset()
            for model in loaded:
                self._load(model)

    @property
    def loaded(self) -> Mapping[Placed, Packed]:
        """The models on the device, and the bytes and places that they have there."""
        return MappingProxyType(self._placing.loaded)

    @property
    def counters(self) -> Counters:
        """The device's counters."""
        with self._lock:
            self._require_open()
            return read_counters(self.device)

    def clear_counters(self) -> None:
        """Set all counters to 0."""
        with self._lock:
            self._require_open()
            self.device.write_register(registers.offset("control"), registers.CONTROL_CLEAR_COUNTERS)

    def _attempt(self, action: Callable[[], _Result]) -> _Result:
        """Do something with the device; if it failed before, recover first; if it fails now, try again if asked to."""
        for retry in (self.retry, False):
            try:
                with self._guard():
                    self._require_open()
                    if self._failed or not self._ownership.holds():
                        self.recover()
                    return action()
            except DeviceError:
                if not retry:
                    raise
        raise AssertionError("not reached")

    def _require_open(self) -> None:
        if self._closed:
            raise DeviceError("the accelerator is closed; make another")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Remember if a transfer was left unfinished, be it by an error of the device or by an interrupt."""
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    @overload
    def _load(self, model: Model) -> PackedModel: ...

    @overload
    def _load(self, model: RecurrentModel) -> PackedRecurrent: ...

    def _load(self, model: Placed) -> Packed:
        """Return the packed model, on the device; send its weights if they are not there."""
        packed = self._placing.use(model)
        if packed is None:
            packed = self._placing.place(model)
            self._ownership.step()  # before its weights go
            if len(packed.weights):
                self._transfers.send_program(packed.weights)
        return packed
