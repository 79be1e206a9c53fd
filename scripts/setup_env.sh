# Sourced by the commands of the README: `set_up USE` sets up what the use needs (scripts/set_up.py) and leaves its Python
# in $python. All that is done here is to find a Python to run that with, or to install one.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

say() { echo "eie: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

# set_up USE [ARGUMENT...]: the exit status is 77 if that cannot be had on this machine.
set_up() {
    local base status=0
    base=$(find_python)
    if [ -z "$base" ]; then
        install_python
        base=$(find_python)
        [ -n "$base" ] || fail "no Python 3.10 or newer found; install one and try again"
    fi
    python=$("$base" "$root/scripts/set_up.py" "$@" </dev/null) || status=$?
    return $status
}

# Print the first suitable Python, one that can make environments if there is one. An environment that is there decides.
find_python() {
    local candidate found=""
    for candidate in "$root/.venv/bin/python" python3 python3.14 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3; do
        is_suitable "$candidate" || continue
        if "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
        found=${found:-$(command -v "$candidate")}
    done
    echo "$found"
}

is_suitable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

install_python() {
    if ! command -v apt-get >/dev/null; then fail "no Python 3.10 or newer found; install one and try again"; fi
    if [ "$(id -u)" != 0 ]; then fail "no Python 3.10 or newer found: sudo apt-get install python3 python3-venv"; fi
    say "installing system packages: python3 python3-venv"
    if ! (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 python3-venv) \
        </dev/null >"${TMPDIR:-/tmp}/eie-apt-get.log" 2>&1; then
        tail -n 20 "${TMPDIR:-/tmp}/eie-apt-get.log" >&2
        fail "apt-get could not install Python"
    fi
}
