#!/usr/bin/env bash
# check_board.sh PYNQ PYTHON: installs the package as on a board, and uses it as a board's user does.
#
# The environment has pynq and what the images bring besides (numpy, matplotlib, Jupyter), and nothing else: neither the
# extras nor the tools of the tests. The package comes from a clean copy, by the very command of docs/board.md; then
# tests/system/board_user.py runs, outside the source tree, on a virtual board.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
version=$1 python=$2
environment=${PYNQ_ENVIRONMENTS:-build}/board-$version
case $environment in /*) ;; *) environment=$root/$environment ;; esac
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The pins: see scripts/test_pynq.sh. matplotlib before 3.11 for it needs numpy 2.
if [ ! -e "$environment/complete" ]; then
    "$python" -c "" 2>/dev/null || python=python3
    "$python" -m venv --clear "$environment"
    "$environment/bin/pip" -q install "setuptools<=80" wheel "numpy<2" "pycparser<3" "matplotlib<3.11" ipykernel nbclient
    "$environment/bin/pip" -q install --no-build-isolation "pynq==$version" "setuptools<=80" "numpy<2" "pycparser<3"
    touch "$environment/complete"
fi

# What git has or would take, as it is now.
mkdir "$scratch/source" "$scratch/home"
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar -c --null -T - | tar -x -C "$scratch/source"

"$environment/bin/pip" -q uninstall -y eie-pynq 2>/dev/null
cd "$scratch/source"
"$environment/bin/pip" -q install . --no-deps --no-build-isolation
cd "$scratch/home"
"$environment/bin/python" -W ignore::ResourceWarning "$root/tests/system/board_user.py" "$root"
