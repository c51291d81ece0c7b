#!/usr/bin/env bash
# Set everything up inside this checkout, then run all tests: style, types, units, and pw.x end to end.
#   bash tests/run.sh [options of pytest]
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source "$ROOT/examples/environment.sh"

make_venv models,relax,report,tests
find_pw
find_chromium
find_slurm
find_services
cd "$ROOT"
# the tests make profiles of their own; nobody's configuration is read
AIIDA_PATH="$(mktemp -d)"
export AIIDA_PATH
trap 'rm -rf "$AIIDA_PATH"' EXIT
say "ruff"
ruff check .
say "mypy"
mypy
say "pytest"
pytest -q "$@"
