#!/usr/bin/env bash
# Runs the driver on the processors of boards, armv7 (PYNQ-Z1 and Z2) and aarch64 (ZCU104, KV260), simulated by qemu, with
# Debian's Python and numpy for them (scripts/set_up_arm.py): LeNet verified, estimated and diagnosed, the command line,
# and tests of the driver, for which Hypothesis tries few examples.
#
# test_arm.sh [--full | --all] [--only armhf|arm64] [arguments of pytest]. --full runs LeNet on all 10,000 images, bit for
# bit; --all does and runs every test that such a processor can, the real pynq on the virtual board among them, which takes
# hours and finds what depends on the processor alone. Exit status 77: there are no packages for these processors here.
set -euo pipefail
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
cd "$root"
all=false images=1000 architectures="armhf arm64" arguments=()
while [ $# != 0 ]; do
    case $1 in
        --full) images=10000 ;;
        --all) images=10000 all=true ;;
        --only) architectures=$2 && shift ;;
        *) arguments+=("$1") ;;
    esac
    shift
done

tests=(tests/driver/data/test_frozen_random.py tests/driver/contract)
# What needs a library that is not there: the other readers, figures, exploration, the compiled hardware.
left_out=(
    driver/exploration driver/devices/rtl driver/demo driver/network/test_onnx_reader.py driver/network/test_readers.py
    driver/compression/test_sharing.py driver/paper/test_report.py
)
if $all; then
    tests=(tests/driver tests/pynq)
    for place in "${left_out[@]}"; do arguments+=(--ignore "tests/$place"); done
fi

export EIE_TEST_PROFILE=few OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# commands PYTHON FOLDER: a session at the command line, from float weights to verified outputs.
commands() {
    "$1" -c "
import numpy as np
random = np.random.RandomState(0)
np.savez('$2/net.npz', w1=random.standard_normal((40, 60)), b1=np.zeros(40), w2=random.standard_normal((10, 40)))
np.save('$2/x.npy', random.random_sample((50, 60)).astype(np.float32))" &&
        "$1" -m eie compress "$2/net.npz" -o "$2/net.eie" --density 0.3 --sharing linear --calibration "$2/x.npy" &&
        "$1" -m eie run "$2/net.eie" "$2/x.npy" -o "$2/y.npy" &&
        "$1" -m eie verify "$2/net.eie" &&
        "$1" -m eie estimate "$2/net.eie" --board pynq-z2
}

# check PYTHON FOLDER: all that is run on one processor.
check() {
    "$1" -c "import platform, numpy; print('eie:', platform.machine(), 'numpy', numpy.__version__, numpy.dtype(numpy.intp))"
    "$1" tests/system/minimal_run.py "$images"
    commands "$1" "$2" >"$2/commands" || { cat "$2/commands" && exit 1; }
    "$1" -W ignore::ResourceWarning -m pytest -p no:cacheprovider "${tests[@]}" ${arguments[@]+"${arguments[@]}"}
}

# One processor is simulated while the next one is set up.
for architecture in $architectures; do
    set_up arm "$architecture"
    mkdir "$scratch/$architecture"
    (set -e; check "$python" "$scratch/$architecture") >"$scratch/$architecture/log" 2>&1 &
done
status=0
for architecture in $architectures; do
    wait -n || status=$?
done
for architecture in $architectures; do cat "$scratch/$architecture/log"; done
exit $status
