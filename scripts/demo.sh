#!/usr/bin/env bash
# Show the whole path on real data, in emulation: compress, pack, run, verify; figures go to out/demo unless --output says otherwise.
# Does its own set-up. Arguments go to `eie demo`.
set -euo pipefail
# shellcheck source=scripts/setup_env.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup_env.sh"

set_up demo
exec "$python" -m eie demo --output "$root/out/demo" "$@"
