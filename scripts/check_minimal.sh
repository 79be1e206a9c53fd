#!/usr/bin/env bash
# Check that the emulation installs and runs with numpy alone: clean environments, no extras, the oldest and the newest
# numpy on the oldest and the newest Python of this machine.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Of Ubuntu 22.04, which the PYNQ images 3.0 and 3.1 are made from.
oldest_numpy=1.21.5
checked=0

# Print the path of Python VERSION, from the path or from pyenv.
find_version() {
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python python3 "$root/.venv/bin/python"; do
        if "$candidate" -c "import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

pip() {
    local python=$1
    shift
    if ! "$python" -m pip "$@" --no-input --disable-pip-version-check >"$scratch/pip.log" 2>&1 </dev/null; then
        tail -n 20 "$scratch/pip.log" >&2
        exit 1
    fi
}

# check PYTHON NUMPY: install the wheel into an environment of its own, run the shipped model outside the source tree.
check() {
    local environment="$scratch/environment-$checked"
    "$1" -m venv "$environment"
    if [ "$checked" = 0 ]; then
        # From a copy: a build leaves files behind.
        mkdir "$scratch/source"
        cp -r "$root"/{setup.py,pyproject.toml,README.md,LICENSE,driver,hw,overlays,notebooks} "$scratch/source"
        pip "$environment/bin/python" wheel --no-deps --wheel-dir "$scratch" "$scratch/source"
    fi
    pip "$environment/bin/python" install "$2" "$scratch"/eie_pynq-*.whl
    local packages
    packages=$("$environment/bin/python" -c "
from importlib.metadata import distributions
print(*sorted({d.metadata['Name'] for d in distributions()} - {'pip', 'setuptools'}))")
    if [ "$packages" != "eie-pynq numpy" ]; then
        echo "eie: a plain installation brought $packages" >&2
        exit 1
    fi
    (cd "$scratch" && "$environment/bin/python" -W error "$root/tests/system/minimal_run.py")
    checked=$((checked + 1))
}

python=$(find_version 3.10)
if [ -n "$python" ]; then
    check "$python" "numpy==$oldest_numpy"
else
    echo "eie: no Python 3.10 here: not checked with numpy $oldest_numpy"
fi
for version in 3.14 3.13 3.12 3.11; do
    python=$(find_version $version)
    if [ -n "$python" ]; then break; fi
done
if [ -n "$python" ]; then check "$python" numpy; fi
