"""Which versions of pynq the driver is for, and what an environment with it needs, on a board or off it."""

from __future__ import annotations

PYTHON = ((3, 10), (3, 12))
"""Oldest and newest Python that pynq and this driver are known to run on together."""

PINS = (
    ("numpy", "<2", "numpy 2 breaks pynq's buffers"),
    ("setuptools", "<=80", "pynq imports pkg_resources, which newer ones lack"),
    ("pycparser", "<3", "the cffi that pynq 3 needs does not work with 3"),
)
"""Package, versions, why."""

NEWEST = {"zynq": "3.1.2", "zynqmp": "4.0.0"}
"""Version to install for a virtual board; pynq 4 no longer has the Zynq-7000."""


def requirement(name: str) -> str:
    """Return a pinned package as pip takes it."""
    return next(f"{package}{versions}" for package, versions, _ in PINS if package == name)


def install_commands(version: str = NEWEST["zynq"]) -> list[str]:
    """Return the commands that make an environment with pynq off a board, in a copy of this repository."""
    pins = " ".join(f'"{requirement(package)}"' for package, _, _ in PINS)
    python = "python3.12" if version.startswith("4") else "python3.11"
    pip = "pynq-environment/bin/pip"
    return [
        f"{python} -m venv pynq-environment",
        f"{pip} install {pins} wheel",
        f'{pip} install --no-build-isolation "pynq=={version}" {pins}',
        f"{pip} install --no-deps --no-build-isolation -e .",
    ]
