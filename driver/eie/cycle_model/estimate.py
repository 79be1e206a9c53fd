"""What an estimate says: a network on an array, layer by layer, and its text."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from eie.contract.config import ArrayConfig
from eie.contract.starvation import starvation_text
from eie.text import columns

BOUNDS = ("DMA", "broadcast", "arithmetic", "output", "start-up")
"""What can bound a layer: words of the stream; one non-zero activation a cycle; the entries of the PE that has most;
outputs through STORE and READ; the latencies of its instructions."""

_SUPPLY = {"stream": "", "port": ", all that the port to the memory brings", "memory": ", all that the memory brings"}

PYTHON_TRANSFER_MICROSECONDS = 120
"""What a Python driver takes for a transfer on a PYNQ-Z2 (120 to 130: KastnerRG/Read_the_docs, issue 25). Of this
driver it was not measured."""


@dataclass(frozen=True)
class LayerEstimate:
    """What a layer takes for one inference, in cycles, the mean over the batch.

    Parameters
    ----------
    name : str
    rows, columns, tiles : int
    alone : float
        Where nothing else is under way: its part of the latency.
    cycles : float
        Within a batch, where loads for what comes next are under way too.
    dma : float
        Cycles that the stream takes for its instructions and their data.
    broadcast, arithmetic : float
        Activations broadcast; entries of the busiest PE, tile by tile.
    output : float
        Accumulators stored and words returned.
    compute : float
        Of its COMPUTEs, from start to end.
    bound : str
        One of `BOUNDS`.
    """

    name: str
    rows: int
    columns: int
    tiles: int
    alone: float
    cycles: float
    dma: float
    broadcast: float
    arithmetic: float
    output: float
    compute: float
    bound: str


@dataclass(frozen=True)
class Estimate:
    """What a network takes on an array.

    Parameters
    ----------
    model, board : str
        Names; the board's is empty for an array of the caller's.
    config : ArrayConfig
    clock_mhz, bytes_per_cycle : float
    resident : bool
        Whether the weights stay on the array; else they are streamed with every inference.
    shared : int
        Inferences of the batch that share streamed weights.
    choices : dict of int to float
        By the number of inferences that might share them, the cycles an inference that the packer expected
        (`eie.program.tile_sharing`); empty if there was nothing to choose.
    load_cycles : int
        To make the weights resident, once.
    batch, transfers : int
        Inferences of the batch, and the transfers that they take.
    flushed_bytes, invalidated_bytes : int
        Of the processor's cache, for the batch: what the host wrote for the DMA, and the place of the reply, which the
        driver marks first; the reply.
    latency_cycles : int
        Of one inference alone, first word in to last word out.
    batch_cycles : int
        Of the batch.
    layers : tuple of LayerEstimate
    starved : dict of str to float
        Of the batch: `eie.contract.starvation.Starvation.shares`.
    supply_limit : {"stream", "port", "memory"}
        What allows the DMA no more bytes a cycle: `eie.boards.memory_port.Supply`.
    unit : str
        What an inference is: of a recurrent layer a time step, the batch a sequence.
    """

    model: str
    board: str
    config: ArrayConfig
    clock_mhz: float
    bytes_per_cycle: float
    resident: bool
    load_cycles: int
    batch: int
    transfers: int
    flushed_bytes: int
    invalidated_bytes: int
    latency_cycles: int
    batch_cycles: int
    layers: tuple[LayerEstimate, ...]
    starved: dict[str, float]
    supply_limit: str = "stream"
    unit: str = "inference"
    shared: int = 1
    choices: dict[int, float] = field(default_factory=dict)

    @property
    def cycles(self) -> float:
        """Cycles per inference in the batch."""
        return self.batch_cycles / self.batch

    @property
    def latency_microseconds(self) -> float:
        """Microseconds of one inference alone."""
        return self.latency_cycles / self.clock_mhz

    @property
    def frames_per_second(self) -> float:
        """Inferences a second in the batch."""
        return 1e6 * self.clock_mhz / self.cycles

    @property
    def python_microseconds(self) -> float:
        """Microseconds of a Python host per inference in the batch; `PYTHON_TRANSFER_MICROSECONDS` a transfer."""
        return PYTHON_TRANSFER_MICROSECONDS * self.transfers / self.batch

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-serialisable values; of each layer also times."""
        values = asdict(self)
        for layer in values["layers"]:
            layer["latency_microseconds"] = layer["alone"] / self.clock_mhz
            layer["frames_per_second"] = 1e6 * self.clock_mhz / layer["cycles"]
        return values | {
            "cycles": self.cycles,
            "latency_microseconds": self.latency_microseconds,
            "frames_per_second": self.frames_per_second,
            "python_microseconds": self.python_microseconds,
        }

    def table(self) -> str:
        """Return the estimate as text."""
        where = f"{self.board}: " if self.board else ""
        stay = "resident" if self.resident else f"streamed with every {self.unit}"
        if self.shared > 1:
            stay = f"streamed for {self.shared} inferences at a time in a batch"
        loading = f", loaded once in {self.load_cycles / self.clock_mhz:,.0f} us" if self.resident else ""
        head = ("layer", "size", "tiles", "latency", "in a batch", "a second", "bound by")
        rows = [self._times(layer.name, layer.alone, layer.cycles, layer) for layer in self.layers]
        parts = ("DMA", "broadcast", "arithmetic", "output", "computing", "all")
        cycles = [
            (part.name, *(f"{n:,.0f}" for n in (part.dma, part.broadcast, part.arithmetic, part.output)),
             f"{part.compute:,.0f}", f"{part.cycles:,.0f}")
            for part in self.layers
        ]  # fmt: skip
        return "\n".join(
            [
                f"{self.model!r} on {where}{self.config.num_pes} PEs at {self.clock_mhz:g} MHz, DMA of "
                f"{self.bytes_per_cycle:g} bytes a cycle{_SUPPLY[self.supply_limit]}; weights {stay}{loading}",
                "",
                *columns([head, *rows, self._times("total", self.latency_cycles, self.cycles)]),
                "",
                f"Cycles {_article(self.unit)} in a batch of {self.batch}, in {self.transfers} transfer"
                f"{'s' if self.transfers > 1 else ''}:",
                *columns([("layer", *parts), *cycles]),
                f"{starvation_text(self.starved)}.",
                "",
                f"The host comes on top: {_article(self.unit)} has {self.flushed_bytes / self.batch:,.0f} bytes to "
                f"flush from the cache and {self.invalidated_bytes / self.batch:,.0f} to invalidate;",
                f"Python takes about {PYTHON_TRANSFER_MICROSECONDS} us a transfer (published for a PYNQ-Z2), "
                f"{self.python_microseconds:,.1f} us {_article(self.unit)} in this batch.",
                *self._choices(),
            ]
        )

    def _choices(self) -> list[str]:
        """Return what the packer expected of each number of inferences that share streamed weights."""
        if len(self.choices) < 2:
            return []
        expected = ", ".join(f"{shared}: {cycles:,.0f}" for shared, cycles in self.choices.items())
        return ["", f"Expected cycles an inference, by how many share the streamed weights: {expected}."]

    def _times(self, name: str, alone: float, cycles: float, layer: LayerEstimate | None = None) -> tuple[str, ...]:
        """Return a line of the first table."""
        where = (f"{layer.rows} x {layer.columns}", str(layer.tiles)) if layer else ("", "")
        times = (f"{alone / self.clock_mhz:,.1f} us", f"{cycles / self.clock_mhz:,.1f} us")
        return (name, *where, *times, f"{1e6 * self.clock_mhz / cycles:,.0f}", layer.bound if layer else "")


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
