#!/usr/bin/env bash
# Set everything up inside this checkout, then generate, screen and relax perovskites.
#   bash examples/quickstart.sh [options of generate_perovskites.py]
# Run again, it reuses what is there. Nothing outside the checkout is touched, apart from pw.x, which is
# installed from the packages of Debian or Ubuntu where it is missing.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$ROOT/examples/environment.sh"

make_venv models,relax,report
find_pw
make_profile quickstart
status=0
verdi run -- "$ROOT/examples/generate_perovskites.py" "$@" || status=$?
say "for these commands: source $ROOT/.venv/bin/activate && export AIIDA_PATH=$AIIDA_PATH"
exit "$status"
