#!/usr/bin/env bash
# Runs the driver on the processors of boards, armv7 (PYNQ-Z1 and Z2) and aarch64 (ZCU104, KV260), simulated by qemu, with
# Debian's Python and numpy for them (scripts/set_up_arm.py): LeNet verified, estimated and diagnosed, the command line,
# and tests of the driver, for which Hypothesis tries few examples.
#
# test_arm.sh [--full] [--only armhf|arm64] [arguments of pytest]. --full runs every test that such a processor can, the
# real pynq on the virtual board among them, and LeNet on all 10,000 images, bit for bit; that takes hours. Exit status
# 77: there are no packages for these processors here.
set -euo pipefail
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"
cd "$root"
full=false architectures="armhf arm64" arguments=()
while [ $# != 0 ]; do
    case $1 in
        --full) full=true ;;
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
images=1000
if $full; then
    tests=(tests/driver tests/pynq) images=10000
    for place in "${left_out[@]}"; do arguments+=(--ignore "tests/$place"); done
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export EIE_TEST_PROFILE=few OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

# commands PYTHON: a session at the command line, from float weights to verified outputs.
commands() {
    "$1" -c "
import numpy as np
random = np.random.RandomState(0)
np.savez('$scratch/net.npz', w1=random.standard_normal((40, 60)), b1=np.zeros(40), w2=random.standard_normal((10, 40)))
np.save('$scratch/x.npy', random.random_sample((50, 60)).astype(np.float32))"
    "$1" -m eie compress "$scratch/net.npz" -o "$scratch/net.eie" --density 0.3 --sharing linear --calibration "$scratch/x.npy"
    "$1" -m eie run "$scratch/net.eie" "$scratch/x.npy" -o "$scratch/y.npy"
    "$1" -m eie verify "$scratch/net.eie"
    "$1" -m eie estimate "$scratch/net.eie" --board pynq-z2
}

for architecture in $architectures; do
    set_up arm "$architecture"
    "$python" -c "import platform, numpy; print('eie:', platform.machine(), 'numpy', numpy.__version__, numpy.dtype(numpy.intp))"
    "$python" tests/system/minimal_run.py "$images"
    commands "$python" >"$scratch/log" || { cat "$scratch/log" && exit 1; }
    "$python" -W ignore::ResourceWarning -m pytest -p no:cacheprovider "${tests[@]}" ${arguments[@]+"${arguments[@]}"}
done
