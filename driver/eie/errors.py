"""Every error that the package raises on purpose, and its warning; each message names the thing, the value, the limit
and the remedy."""

from eie.text import printable_lines

__all__ = [
    "AccuracyWarning",
    "ConfigError",
    "DeviceError",
    "EieError",
    "LayerError",
    "MissingExtraError",
    "ModelFileError",
    "NetworkError",
    "PackError",
    "VerificationError",
]


class EieError(Exception):
    """Base class of the package's own errors.

    As text, whatever a message quotes of a file's names is harmless to a terminal."""

    def __str__(self) -> str:
        return printable_lines(super().__str__())


class ConfigError(EieError, ValueError):
    """An `eie.ArrayConfig` that no array can have."""


class LayerError(EieError, ValueError):
    """A compressed layer that breaks the arithmetic contract (shapes, ranges, 48-bit accumulator)."""


class NetworkError(EieError, ValueError):
    """A network, or a file holding one, that cannot be compressed."""


class ModelFileError(EieError, ValueError):
    """A model file that is damaged, hostile or of another version."""


class PackError(EieError, ValueError):
    """A model that cannot be packed for an array, or input of the wrong shape."""


class DeviceError(EieError, RuntimeError):
    """A device that reported an error, or that is not the one expected."""


class VerificationError(EieError, AssertionError):
    """A device whose outputs differ from the integer reference."""


class MissingExtraError(EieError, ImportError):
    """A feature whose optional dependency is not installed."""


class AccuracyWarning(UserWarning):
    """Numbers that are legal but no use, such as outputs that have little to do with the given network's."""
