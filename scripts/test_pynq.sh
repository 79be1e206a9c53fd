#!/bin/sh
# Runs tests/pynq: the driver on the real pynq library, unmodified, on the virtual board. pynq 3.1 is tested with the
# Zynq-7000 board, pynq 4 with the UltraScale+ board. Either gets its own virtual environment (default build/pynq-*),
# for they need older numpy and setuptools than the rest. Arguments go to pytest; --full runs the heavy tests too.
set -eu
cd "$(dirname "$0")/.."
environments=${PYNQ_ENVIRONMENTS:-build}

# pynq, Python, pins: numpy 2 breaks PynqBuffer, pycparser 3 the cffi of 3.1, setuptools 81 has no pkg_resources.
run() {
    version=$1 python=$2
    shift 2
    environment=$environments/pynq-$version
    if [ ! -e "$environment/complete" ]; then
        "$python" -c "" 2>/dev/null || python=python3
        "$python" -m venv --clear "$environment"
        "$environment/bin/pip" -q install "setuptools<=80" wheel "numpy<2" "pycparser<3" "pytest>=7" "hypothesis>=6"
        "$environment/bin/pip" -q install --no-build-isolation "pynq==$version" "setuptools<=80" "numpy<2" "pycparser<3"
        "$environment/bin/pip" -q install --no-deps --no-build-isolation -e .
        touch "$environment/complete"
    fi
    echo "pynq $version, $("$environment/bin/python" --version)"
    "$environment/bin/python" -W ignore::ResourceWarning -m pytest tests/pynq "$@"
}

run 3.1.2 python3.11 "$@"
run 4.0.0 python3.12 "$@"
