#!/usr/bin/env bash
# check_board.sh PYNQ: installs the package as on a board, and uses it as a board's user does.
#
# The environment has pynq and what the images bring besides (numpy, matplotlib, Jupyter), and nothing else: neither the
# extras nor the tools of the tests. The package comes from a clean copy, by the very command of docs/board.md; then
# tests/system/board_user.py runs, outside the source tree, on a virtual board.
set -euo pipefail
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
cd "$root"
set_up board "$1"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What git has or would take, as it is now.
mkdir "$scratch/source" "$scratch/home"
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar -c --null -T - | tar -x -C "$scratch/source"

# .venv's pip, for an unpacked Python has none of its own.
pip() { "$root/.venv/bin/python" -m pip -q --python "$python" "$@"; }
pip uninstall -y eie-pynq 2>/dev/null
cd "$scratch/source"
pip install . --no-deps --no-build-isolation
cd "$scratch/home"
"$python" -W ignore::ResourceWarning "$root/tests/system/board_user.py" "$root"
