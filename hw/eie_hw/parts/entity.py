"""The mark that keeps a unit together in the converted HDL; `eie_hw.conversion.hierarchy` acts on it."""

from __future__ import annotations

from myhdl._block import _Block


def entity(instance: _Block) -> _Block:
    """Mark a unit's instance to become an entity (module) of its own in the converted HDL.

    Parameters
    ----------
    instance : myhdl block instance
        Its arguments are signals, interface objects with signals as attributes, and parameters with a stable `repr`.
        It takes no signal from an enclosing function.

    Returns
    -------
    The same instance.
    """
    instance.is_entity = True
    return instance
