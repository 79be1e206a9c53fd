"""The parameters of an EIE array: the one description that hardware, packing, emulation and docs derive from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields

import numpy as np

from eie.arguments import whole_number
from eie.errors import ConfigError

CODE_BITS = 4
CODEBOOK_SIZE = 1 << CODE_BITS
ACTIVATION_BITS = 16
WEIGHT_BITS = 16
ACCUMULATOR_BITS = 48
BIAS_BITS = 32
WORD_BITS = 64
SCALE_BITS = 16
SCALED_BITS = 25
"""Bits of a sum, two's complement, that a row's scale multiplies: one operand of a DSP slice."""
PRE_SHIFTS = (0, 8, 16, 24)
"""By how many bits a sum may be shifted before it is scaled."""
SHIFT_LIMIT = ACCUMULATOR_BITS - 1
"""Largest rounding shift of an output."""

WORD_BYTES = WORD_BITS // 8
"""Bytes of a word of the stream."""
ACTIVATIONS_PER_WORD = WORD_BITS // ACTIVATION_BITS
LENGTH_BITS = 4
"""Bits of a column's entries in a PE, where a load gives lengths for pointers."""
LENGTH_MASK = (1 << LENGTH_BITS) - 1
LENGTHS_PER_WORD = WORD_BITS // LENGTH_BITS

# The instruction set gives every memory address and count 16 bits, a bias 13, a PE 8 bits and a codebook slot 4.
_FIELD_LIMIT = 1 << 16
ROW_LIMIT = 1 << 13
"""Most accumulators of a PE."""
_MAX_PES = 256
_MAX_CODEBOOKS = 16
_STREAM_BITS = (64, 128, 256)
_PES_PER_STREAM_WORD = 16
"""A stream of several words at once has one for each group of PEs, and 16 PEs share a memory of row scales."""


def range_of_part(part: int, total: int) -> tuple[int, int]:
    """Return where a part of so many things begins, and how many are in it.

    Parts are numbered as in a heap: 1, or 0, is all, 2 and 3 are the halves, 4 to 7 the quarters.
    """
    level = max(1, part).bit_length() - 1
    size = total >> level
    return (max(1, part) - (1 << level)) * size, size


def _is_power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


@dataclass(frozen=True)
class ArrayConfig:
    """Parameters of an EIE array.

    Parameters
    ----------
    num_pes : int
        Number of processing elements N, a power of two from 1 to 256.
    queue_depth : int
        Depth of each PE's activation queue, a power of two from 1 to 256.
    index_bits : int
        Width of a relative index, 1 to 12 bits; the paper has 4.
    entries_per_word : int
        Entries in one word of the sparse-matrix memory, a power of two from 1 to 64.
    entries : int
        Depth of the sparse-matrix memory per PE and bank, in entries; a power of two that holds at least
        one dense activation group by one output group, so that every layer can be tiled.
    pointers : int
        Depth of the pointer memory per PE and bank; a power of two, or two more. A tile has one pointer more than
        columns: with two more, the end of the last column is in a register, and a tile of a power of two of columns
        takes no more block RAM than they do.
    rows : int
        Accumulators per PE, a power of two.
    activations : int
        Activations held on chip, all layers' inputs and outputs together; a power of two.
    banks : int
        Banks of the pointer and sparse-matrix memories: 2 lets a tile load while another computes.
    codebooks : int
        Codebooks held on chip at a time, 1 to 16.
    first_row : bool
        Carry the first row of a column in its pointer word, so that no padding precedes the first entry.
    skip_empty : bool
        The pointer unit drops a PE's empty columns before they reach its queue.
    stream_bits : int
        Width of the stream of instructions: 64, 128 or 256 bits, with at least 16 PEs for each 64 of several.
    ultra_ram : bool
        Keep the entries in UltraRAM, which UltraScale+ devices have, in place of block RAM. No parameter that a host
        can tell: the array does the same in the same cycles.
    balance_rows : bool
        Packing assigns rows to PEs by their number of non-zeros (`eie.program.balancing`). No parameter of the
        hardware: any build runs models of either kind.

    Raises
    ------
    ConfigError
        If no array can have these parameters; the message says which and why.
    """

    num_pes: int = 64
    queue_depth: int = 32
    index_bits: int = 5
    entries_per_word: int = 8
    entries: int = 2048
    pointers: int = 1024
    rows: int = 64
    activations: int = 8192
    banks: int = 2
    codebooks: int = 4
    first_row: bool = True
    skip_empty: bool = True
    stream_bits: int = 64
    ultra_ram: bool = field(default=False, metadata={"hardware": False})
    balance_rows: bool = field(default=True, metadata={"hardware": False})

    @classmethod
    def paper(cls) -> ArrayConfig:
        """Return the machine of the paper (Han et al., ISCA 2016, section VI): 64 PEs, queue 8, 4-bit indices,
        128 K entries and 16 K pointers per PE (here in two banks of half that), 64 rows, 2 x 4096 activations."""
        return cls(
            num_pes=64,
            queue_depth=8,
            index_bits=4,
            entries_per_word=8,
            entries=65536,
            pointers=8192,
            rows=64,
            activations=8192,
            banks=2,
            codebooks=4,
            first_row=False,
            skip_empty=False,
            balance_rows=False,
        )

    def __post_init__(self) -> None:
        for parameter in fields(self):
            name, value = parameter.name, getattr(self, parameter.name)
            if parameter.type != "bool":
                object.__setattr__(self, name, whole_number(value, name, ConfigError))
            elif isinstance(value, (bool, np.bool_)):
                object.__setattr__(self, name, bool(value))
            else:
                raise ConfigError(f"{name} is {value!r}, a {type(value).__name__}; it must be a bool")
        self._require_power("num_pes", 1, _MAX_PES)
        self._require_power("queue_depth", 1, 256)
        self._require_range("index_bits", 1, 12)
        self._require_power("entries_per_word", 1, 64)
        self._require_power("entries", max(self.lanes * self.rows_per_group, self.entries_per_word), _FIELD_LIMIT)
        if not self.last_end_apart:
            self._require_power("pointers", 2 * self.lanes, _FIELD_LIMIT)
        self._require_power("rows", max(1, self.lanes // self.num_pes), ROW_LIMIT)
        self._require_power("activations", 2 * self.lanes, _FIELD_LIMIT // 2 * self.lanes)
        self._require_range("banks", 1, 2)
        self._require_range("codebooks", 1, _MAX_CODEBOOKS)
        if self.stream_bits not in _STREAM_BITS:
            raise ConfigError(f"stream_bits={self.stream_bits} must be one of {', '.join(map(str, _STREAM_BITS))}")
        if self.flit_words > 1 and self.num_pes < _PES_PER_STREAM_WORD * self.flit_words:
            least = _PES_PER_STREAM_WORD * self.flit_words
            raise ConfigError(
                f"stream_bits={self.stream_bits} needs num_pes >= {least}, here {self.num_pes}: use a narrower stream"
            )

    def _require_range(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ConfigError(f"{name}={value} must lie in {low}..{high}")

    def _require_power(self, name: str, low: int, high: int) -> None:
        self._require_range(name, low, high)
        value = getattr(self, name)
        if not _is_power_of_two(value):
            above = 1 << value.bit_length()
            raise ConfigError(f"{name}={value} must be a power of two; {above // 2} or {above} would do")

    # The stream: a word is 64 bits, a flit the words that come at once.

    @property
    def flit_words(self) -> int:
        """Words of a flit, a power of two; headers and payloads take whole flits."""
        return self.stream_bits // WORD_BITS

    @property
    def flit_bytes(self) -> int:
        """Bytes of a flit."""
        return self.stream_bits // 8

    # Activation groups: what one address of the activation memory holds.

    @property
    def lanes(self) -> int:
        """Activations in one group: N, but at least the four of a stream word."""
        return max(self.num_pes, ACTIVATIONS_PER_WORD)

    @property
    def activation_groups(self) -> int:
        """Groups in the activation memory."""
        return self.activations // self.lanes

    @property
    def words_per_group(self) -> int:
        """Stream words that carry one activation group."""
        return self.lanes // ACTIVATIONS_PER_WORD

    @property
    def rows_per_group(self) -> int:
        """Local rows whose outputs fill one activation group (more than one only for N < 4)."""
        return self.lanes // self.num_pes

    def accumulator_part(self, part: int) -> tuple[int, int]:
        """Return the first accumulator and the number of those in a part of them."""
        return range_of_part(part, self.rows)

    # Sparse-matrix memory.

    @property
    def entry_bits(self) -> int:
        """Bits of an entry: the code in the low bits, the relative index above it."""
        return CODE_BITS + self.index_bits

    @property
    def entry_words(self) -> int:
        """Words of the sparse-matrix memory per PE and bank."""
        return self.entries // self.entries_per_word

    @property
    def word_bits(self) -> int:
        """Bits of a sparse-matrix word."""
        return self.entries_per_word * self.entry_bits

    @property
    def max_gap(self) -> int:
        """Largest number of zero rows that one relative index can skip."""
        return (1 << self.index_bits) - 1

    # Pointer memory.

    @property
    def start_bits(self) -> int:
        """Bits of the entry address in a pointer word; addresses are modulo the bank's depth."""
        return (self.entries - 1).bit_length()

    @property
    def row_bits(self) -> int:
        """Bits of a local row number."""
        return (self.rows - 1).bit_length()

    @property
    def pointer_bits(self) -> int:
        """Bits of a pointer word: the entry address in the low bits, above it the first row if carried."""
        return self.start_bits + (self.row_bits if self.first_row else 0)

    @property
    def pointer_pairs(self) -> int:
        """Words of one (even or odd) pointer bank, hence even/odd pairs per PE and bank."""
        return self.pointers // 2

    @property
    def last_end_apart(self) -> bool:
        """Whether the last pair of pointers is no word of the memory but a register, of an even pointer alone."""
        return _is_power_of_two(self.pointers - 2) and 2 * self.lanes <= self.pointers - 2 < _FIELD_LIMIT

    @property
    def pointer_depth(self) -> int:
        """Words that are memory of one (even or odd) pointer bank."""
        return self.pointer_pairs - self.last_end_apart

    @property
    def tile_columns(self) -> int:
        """Most columns in a tile: whole groups, and one pointer more than columns."""
        return (self.pointers - 1) // self.lanes * self.lanes

    # Payload beats: how pointer and sparse-matrix words travel in the stream.

    @property
    def pe_pairs(self) -> int:
        """Pairs of PEs; a pointer or bias beat serves two PEs at once."""
        return (self.num_pes + 1) // 2

    @property
    def length_words(self) -> int:
        """Stream words that carry the lengths of a pair of columns in all PEs."""
        return -(-2 * self.num_pes // LENGTHS_PER_WORD)

    @property
    def scale_memories(self) -> int:
        """Memories of row scales: each has those of up to 16 PEs, in four clusters."""
        return -(-self.num_pes // ACTIVATIONS_PER_WORD**2)

    @property
    def scale_clusters(self) -> int:
        """Clusters that share a memory of row scales, and take a scale each at once."""
        return min(self.words_per_group, ACTIVATIONS_PER_WORD)

    @property
    def scale_words(self) -> int:
        """Stream words that carry the row scales of a local row: for each memory, one for each PE of a cluster."""
        return self.scale_memories * min(self.num_pes, ACTIVATIONS_PER_WORD)

    @property
    def beat_bytes(self) -> int:
        """Bytes of a payload beat, at least a stream word: one sparse-matrix word, or two PEs' pointer pairs."""
        bits = max(WORD_BITS, self.word_bits, 4 * self.pointer_bits)
        return (bits + 7) // 8

    def to_dict(self) -> dict[str, int | bool]:
        """Return the parameters by name."""
        return asdict(self)

    def hardware_parameters(self) -> dict[str, int | bool]:
        """Return the parameters that a host can tell from the hardware: those of its registers and its build hash."""
        return {p.name: getattr(self, p.name) for p in fields(self) if p.metadata.get("hardware", True)}
