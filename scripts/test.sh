#!/usr/bin/env bash
# Run every check of the project: test.sh [--full] [arguments of pytest]. Does its own set-up.
#
# The quick set is for every change; --full adds the heavy tests and the emulation with numpy alone.
set -uo pipefail
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"

full=false
for argument in "$@"; do
    if [ "$argument" = --full ]; then full=true; fi
done

# Without these the tests of the hardware would be skipped, which must not go unnoticed.
system_tools() {
    local missing=()
    command -v ghdl >/dev/null || missing+=(ghdl-mcode)
    command -v g++ >/dev/null || missing+=(g++)
    command -v make >/dev/null || missing+=(make)
    command -v tclsh >/dev/null || missing+=(tcl)
    if [ ${#missing[@]} = 0 ]; then return; fi
    if may_install; then
        (install_system_packages "${missing[@]}")
    else
        say "tests of the hardware cannot run; install their tools with: sudo apt-get install ${missing[*]}"
        return 1
    fi
}

summary=()
failed=0
# check NAME COMMAND...: run it, remember how it went.
check() {
    local name=$1 start=$SECONDS verdict=ok
    shift
    say "checking: $name"
    "$@" </dev/null || verdict="FAILED (exit status $?)"
    if [ "$verdict" != ok ]; then failed=1; fi
    summary+=("$(printf '%-14s %4d s   %s' "$name" $((SECONDS - start)) "$verdict")")
}

set_up test
export PATH="$environment/bin:$PATH"
cd "$root" || exit 1
# Two workers share the cores; threads of their libraries would only get into each other's way.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

check "system tools" system_tools
check "ruff check" "$python" -m ruff check --quiet .
check "ruff format" "$python" -m ruff format --check --quiet .
check "mypy" "$python" -m mypy --no-error-summary
check "imports" "$environment/bin/lint-imports" --no-cache
check "site" env NO_MKDOCS_2_WARNING=1 "$environment/bin/mkdocs" build --quiet --strict
if $full; then
    check "numpy alone" scripts/check_minimal.sh
    check "pynq" scripts/test_pynq.sh --full
elif [ $# = 0 ]; then
    check "pynq" scripts/test_pynq.sh
fi
check "pytest" "$python" -m pytest -n 2 --durations 10 --durations-min 10 "$@"

echo
printf 'eie: %s\n' "${summary[@]}"
exit $failed
