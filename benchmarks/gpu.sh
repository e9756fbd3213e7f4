#!/usr/bin/env bash
# Measures the figures that are owed for this GPU, those of most worth first; --help says how.
# Stopped at any moment, the same command goes on with what is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ -z ${PYTHON:-} ]]; then
  PYTHON=python3
  if [[ -x .venv/bin/python ]]; then PYTHON=.venv/bin/python; fi
fi
exec "$PYTHON" -m benchmarks.owed "$@"
