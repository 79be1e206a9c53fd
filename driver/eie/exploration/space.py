"""Which arrays an exploration looks at: every combination of the values that its parameters are given."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from math import prod
from typing import Any

from eie.arguments import require_type, whole_number
from eie.contract.config import ArrayConfig
from eie.errors import ConfigError

Value = int | bool
Values = str | int | Iterable[Value]

STEPS_OF_ONE = ("index_bits", "banks", "codebooks")
"""Parameters that need not be a power of two: a range of theirs holds every number, of others every doubling."""

MOST_COMBINATIONS = 1_000_000
_WORDS: dict[str, Value] = {"yes": True, "no": False, "true": True, "false": False, "on": True, "off": False}


@dataclass(frozen=True)
class Space:
    """The arrays to look at.

    Parameters
    ----------
    configs : tuple of ArrayConfig
        Each once; parameters given first vary slowest.
    refused : dict of str to int
        Why combinations were left out, in the words of `ArrayConfig`, and how many for that reason.
    axes : dict of str to tuple
        The values of each parameter that was given any.
    """

    configs: tuple[ArrayConfig, ...]
    refused: dict[str, int]
    axes: dict[str, tuple[Value, ...]]

    @property
    def varied(self) -> tuple[str, ...]:
        """Parameters with more than one value."""
        return tuple(name for name, values in self.axes.items() if len(values) > 1)


def space(axes: Mapping[str, Values], base: ArrayConfig | None = None) -> Space:
    """Return every combination of parameters that an array can have.

    Parameters
    ----------
    axes : mapping of str to values
        Parameters of `ArrayConfig`, each with a number, a sequence of numbers, or a text (`parse_values`).
    base : ArrayConfig, optional
        Of the parameters that are not given; default ``ArrayConfig()``.

    Raises
    ------
    ConfigError
        If a parameter or value is not understood, or no combination is left.
    """
    require_type(axes, Mapping, "axes", "a mapping of parameters to values", ConfigError)
    require_type(base, (ArrayConfig, type(None)), "base", "an eie.ArrayConfig", ConfigError)
    base = base or ArrayConfig()
    values = {name: _values(name, given) for name, given in axes.items()}
    count = prod(len(v) for v in values.values())
    if count > MOST_COMBINATIONS:
        raise ConfigError(f"{count:,} combinations to explore; at most {MOST_COMBINATIONS:,}: narrow the ranges")
    configs: dict[ArrayConfig, None] = {}
    refused: Counter[str] = Counter()
    for combination in itertools.product(*values.values()):
        try:
            parameters: dict[str, Any] = base.to_dict() | dict(zip(values, combination, strict=True))
            configs[ArrayConfig(**parameters)] = None
        except ConfigError as error:
            refused[str(error)] += 1
    if not configs:
        raise ConfigError(f"no array can have any of the {count:,} combinations: {'; '.join(refused)}")
    return Space(tuple(configs), dict(refused), values)


def parse_values(name: str, text: str) -> tuple[Value, ...]:
    """Return the values that a text gives for a parameter.

    Parameters
    ----------
    name : str
        Parameter of `ArrayConfig`.
    text : str
        Numbers, or ranges A:B with both ends included, parted by commas: ``16:256``, ``4,8,32:128``. A range doubles,
        or counts by one for those in `STEPS_OF_ONE`. For a choice: yes, no, or both.

    Raises
    ------
    ConfigError
        If it is no such text.
    """
    kind = _kind(name)
    values: dict[Value, None] = {}
    for part in text.lower().split(","):
        values |= dict.fromkeys(_choice(name, part.strip()) if kind is bool else _range(name, part.strip()))
    return tuple(values)


def _values(name: str, given: Values) -> tuple[Value, ...]:
    if isinstance(given, str):
        return parse_values(name, given)
    kind = _kind(name)
    listed = list(given) if isinstance(given, Iterable) else [given]
    values = tuple(
        dict.fromkeys(
            value if kind is bool and isinstance(value, bool) else whole_number(value, name, ConfigError)
            for value in listed
        )
    )
    if not values:
        raise ConfigError(f"{name} is given no value to explore")
    return values


def _kind(name: str) -> type:
    for parameter in fields(ArrayConfig):
        if parameter.name == name:
            return bool if parameter.type == "bool" else int
    known = ", ".join(parameter.name for parameter in fields(ArrayConfig))
    raise ConfigError(f"{name!r} is no parameter of an array; those are {known}")


def _choice(name: str, text: str) -> list[Value]:
    if text == "both":
        return [True, False]
    if text not in _WORDS:
        raise ConfigError(f"{name}={text!r} must be yes, no or both")
    return [_WORDS[text]]


def _range(name: str, text: str) -> list[Value]:
    ends = text.split(":")
    if len(ends) > 2 or not all(end.strip().isascii() and end.strip().isdecimal() for end in ends):
        raise ConfigError(
            f"{name}={text!r} must be numbers and ranges A:B, parted by commas, for example 16:256 or 4,8"
        )
    low, high = int(ends[0]), int(ends[-1])
    if low > high:
        raise ConfigError(f"{name}={text!r} is an empty range; write {high}:{low}")
    if len(ends) == 1:
        return [low]
    if name in STEPS_OF_ONE:
        if high - low >= MOST_COMBINATIONS:
            raise ConfigError(f"{name}={text!r} is a range of {high - low + 1:,} values; {name} needs a few bits only")
        return list(range(low, high + 1))
    if low < 1 or any(end & (end - 1) for end in (low, high)):
        raise ConfigError(f"{name}={text!r} doubles from its first to its last value; both must be powers of two")
    return [1 << bits for bits in range(low.bit_length() - 1, high.bit_length())]
