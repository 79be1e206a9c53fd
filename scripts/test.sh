#!/usr/bin/env bash
# Run every check of the project: test.sh [--full] [arguments of pytest]. Does its own set-up.
#
# The quick set is for every change; --full adds the heavy tests and the emulation with numpy alone. The last lines say
# how each check went, and what was left out because this machine cannot have what it needs.
set -uo pipefail
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"

full=false
for argument in "$@"; do
    if [ "$argument" = --full ]; then full=true; fi
done

summary=()
failed=0
# check NAME COMMAND...: run it, remember how it went; exit status 77 says that this machine cannot have what it needs.
check() {
    local name=$1 start=$SECONDS status=0 verdict
    shift
    say "checking: $name"
    "$@" </dev/null || status=$?
    case $status in
        0) verdict=ok ;;
        77) verdict="left out: $(why "$name")" ;;
        *) verdict="FAILED (exit status $status)" failed=1 ;;
    esac
    summary+=("$(printf '%-14s %4d s   %s' "$name" $((SECONDS - start)) "$verdict")")
}

# Why the rest still says what matters.
why() {
    case $1 in
        "system tools") echo "GHDL, g++, make or tclsh is missing; tests that need it were skipped, and pytest counts them" ;;
        pynq) echo "no Python that pynq can be installed for; only what drives a board needs it, all else is checked" ;;
        arm) echo "no Debian packages for ARM; tests/driver/test_index_types.py finds what a 32-bit processor refuses" ;;
    esac
}

set_up test || exit 1
tools() { (set_up tools); }
left_out=$root/.venv/left-out.txt
export PATH="$root/.venv/bin:$PATH"
cd "$root" || exit 1
# Two workers share the cores, the last heavy tests too; threads of their libraries would only get into each other's way.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

check "system tools" tools
check "ruff check" "$python" -m ruff check --quiet .
check "ruff format" "$python" -m ruff format --check --quiet .
check "mypy" "$python" -m mypy --no-error-summary
check "imports" "$root/.venv/bin/lint-imports" --no-cache
check "site" env NO_MKDOCS_2_WARNING=1 "$root/.venv/bin/mkdocs" build --quiet --strict
if $full; then
    check "numpy alone" scripts/check_minimal.sh
    check "pynq" scripts/test_pynq.sh --full
    check "arm" scripts/test_arm.sh --full
elif [ $# = 0 ]; then
    check "pynq" scripts/test_pynq.sh
    check "arm" scripts/test_arm.sh
fi
check "pytest" "$python" -m pytest -n 2 --dist worksteal --durations 10 --durations-min 10 "$@"

echo
printf 'eie: %s\n' "${summary[@]}"
if [ -s "$left_out" ]; then sed 's/^/eie: left out: /' "$left_out"; fi
exit $failed
