#!/usr/bin/env bash
# Runs tests/pynq: the driver on the real pynq library, unmodified, on the virtual board. pynq 3.1 is tested with the
# Zynq-7000 board, pynq 4 with the UltraScale+ board. Either gets its own virtual environment (default build/pynq-*),
# for they need older numpy and setuptools than the rest (scripts/set_up_pynq.py). Then it checks the installation on a
# board and its notebooks (scripts/check_board.sh). Arguments go to pytest; --full runs the heavy tests too, with the
# simulated hardware as the board's fabric (its simulator is installed beside pynq then), and checks the installation on
# pynq 4 as well. Exit status 77: this machine can have no Python that pynq can be installed for.
set -euo pipefail
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
cd "$root"
hardware=()
for argument in "$@"; do
    if [ "$argument" = --full ]; then hardware=(--hardware); fi
done

for version in 3.1.2 4.0.0; do
    set_up pynq "$version" ${hardware[@]+"${hardware[@]}"}
    echo "pynq $version, $("$python" --version)"
    "$python" -W ignore::ResourceWarning -m pytest -n 2 tests/pynq "$@"
done
scripts/check_board.sh 3.1.2
if [ ${#hardware[@]} != 0 ]; then scripts/check_board.sh 4.0.0; fi
