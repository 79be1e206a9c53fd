#!/bin/sh
# Runs tests/pynq: the driver on the real pynq library, unmodified, on the virtual board. pynq 3.1 is tested with the
# Zynq-7000 board, pynq 4 with the UltraScale+ board. Either gets its own virtual environment (default build/pynq-*),
# for they need older numpy and setuptools than the rest. Then it checks the installation on a board and its notebooks
# (scripts/check_board.sh). Arguments go to pytest; --full runs the heavy tests too, with the simulated hardware as the
# board's fabric (its simulator is installed beside pynq then), and checks the installation on pynq 4 as well.
set -eu
cd "$(dirname "$0")/.."
environments=${PYNQ_ENVIRONMENTS:-build}
full=false
for argument in "$@"; do
    if [ "$argument" = --full ]; then full=true; fi
done

# numpy 2 breaks PynqBuffer, pycparser 3 the cffi of 3.1, setuptools 81 has no pkg_resources.
pins="setuptools<=80 numpy<2 pycparser<3"

# What setup.py says of entry points takes an installation to come into force.
stamp=$(cksum <setup.py | cut -d " " -f 1)

# run PYNQ PYTHON ARGUMENT...
run() {
    version=$1 python=$2
    shift 2
    environment=$environments/pynq-$version
    if [ ! -e "$environment/complete" ]; then
        "$python" -c "" 2>/dev/null || python=python3
        "$python" -m venv --clear "$environment"
        # shellcheck disable=SC2086
        "$environment/bin/pip" -q install $pins wheel "pytest>=7" "hypothesis>=6"
        # shellcheck disable=SC2086
        "$environment/bin/pip" -q install --no-build-isolation "pynq==$version" $pins
        touch "$environment/complete"
    fi
    if [ ! -e "$environment/installed-$stamp" ]; then
        "$environment/bin/pip" -q install --no-deps --no-build-isolation -e .
        rm -f "$environment"/installed-*
        touch "$environment/installed-$stamp"
    fi
    if $full && [ ! -e "$environment/complete-hardware" ]; then
        # shellcheck disable=SC2086
        "$environment/bin/pip" -q install --no-build-isolation -e ".[hardware]" "pynq==$version" $pins
        "$environment/bin/pip" check
        touch "$environment/complete-hardware"
    fi
    echo "pynq $version, $("$environment/bin/python" --version)"
    "$environment/bin/python" -W ignore::ResourceWarning -m pytest tests/pynq "$@"
}

run 3.1.2 python3.11 "$@"
run 4.0.0 python3.12 "$@"
scripts/check_board.sh 3.1.2 python3.11
if $full; then scripts/check_board.sh 4.0.0 python3.12; fi
