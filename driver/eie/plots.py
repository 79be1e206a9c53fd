"""What all figures share: colours and files. Needs matplotlib, the extra "plots".

Colours are those of Okabe and Ito, which people with any colour vision tell apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from eie.atomic import replacing
from eie.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, VERMILLION, GREY = "#0072B2", "#E69F00", "#D55E00", "#8C8C8C"
_DPI = 150
FIGURE_ENDINGS = (".png", ".svg")


def require_plots() -> None:
    """Raise `MissingExtraError` unless figures can be drawn; before long work, rather than after it."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("drawing figures needs matplotlib: pip install 'eie-pynq[plots]'") from error


def save_figure(figure: Figure, path: str | Path) -> list[Path]:
    """Write a figure as .png and .svg (the ending of `path`, if any, does not matter) and return the two paths."""
    import matplotlib

    written = []
    # Without a date and with fixed identifiers, the same figure is the same file.
    with matplotlib.rc_context({"svg.hashsalt": "eie", "svg.fonttype": "none"}):
        for suffix, metadata in zip(FIGURE_ENDINGS, ({}, {"Date": None}), strict=True):
            target = Path(path).with_suffix(suffix)
            with replacing(target) as partial:
                figure.savefig(partial, dpi=_DPI, metadata=metadata)
            written.append(target)
    return written
