# Sourced by the commands of the README: `set_up demo` or `set_up test` makes .venv fit, and leaves its Python in $python.
#
# A stamp in .venv says for which use, which dependency list (setup.py) and which place it was completed, so a half-made,
# outdated or moved environment is made anew, and one that fits costs a few milliseconds.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
environment="$root/.venv"
python="$environment/bin/python"

say() { echo "eie: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

# set_up USE: `test` includes all that `demo` needs.
set_up() {
    local use=$1 fingerprint
    fingerprint=$(cat "$root/setup.py" "$root/pyproject.toml" <(echo "$root") | sha256sum | cut -c 1-16)
    if is_complete "$use" "$fingerprint"; then return; fi
    exec 9>"$root/.venv.lock"
    flock 9
    if ! is_complete "$use" "$fingerprint"; then
        if ! is_complete demo "$fingerprint"; then create_environment; fi
        rm -f "$environment"/.complete-*
        case $use in
            demo) install_package compress,fast,plots ;;
            test) install_package test,train ;;
        esac
        touch "$environment/.complete-demo-$fingerprint" "$environment/.complete-$use-$fingerprint"
    fi
    flock -u 9
    exec 9>&-
}

is_complete() { [ -e "$environment/.complete-$1-$2" ] && "$python" -c '' 2>/dev/null; }

create_environment() {
    local base
    base=$(find_python)
    if [ -z "$base" ]; then
        install_system_packages python3 python3-venv
        base=$(find_python)
    fi
    [ -n "$base" ] || fail "no Python 3.10, 3.11 or 3.12 found; install one (for example Debian's python3.11) and try again"
    if ! has_venv "$base"; then
        # A Debian Python keeps venv in a package of its own, named like the interpreter.
        install_system_packages "$("$base" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
    fi
    say "setting up .venv with $("$base" --version) ($base); the first time takes a minute or two"
    rm -rf "$environment"
    "$base" -m venv "$environment" || fail "$base could not create .venv"
}

# Print the first suitable Python, one that can make environments if there is one.
find_python() {
    local candidate found=""
    for candidate in python3 python3.12 python3.11 python3.10 /usr/bin/python3; do
        is_suitable "$candidate" || continue
        if has_venv "$candidate"; then
            command -v "$candidate"
            return
        fi
        found=${found:-$(command -v "$candidate")}
    done
    echo "$found"
}

is_suitable() { "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1; }
has_venv() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

install_package() {
    local log="$environment/install.log"
    say "installing the package with its extras $1"
    # Modules are compiled when they are first imported; compiling all of them takes longer than unpacking.
    if ! (cd "$root" && "$python" -m pip install --no-compile --no-input --editable ".[$1]") </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "pip could not install the package; the whole log is $log"
    fi
}

# install_system_packages PACKAGE...: by apt-get as root, otherwise say what to install and stop.
install_system_packages() {
    if ! may_install; then fail "missing system packages; install them with: sudo apt-get install $*"; fi
    say "installing system packages: $*"
    local log
    log=$(mktemp)
    if ! (apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@") \
        </dev/null >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "apt-get could not install $*; the whole log is $log"
    fi
    rm -f "$log"
}

may_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }
