#!/usr/bin/env bash
# Checks, builds and tests the SDK: the wheel is what is tested. PYTEST_FLAGS are passed on.
set -euo pipefail
cd "$(dirname "$0")"

status=0
./venv.sh || status=$?
if [ "$status" = 3 ] && [ -z "${CI:-}" ]; then
  echo "skipped: sdk/python"
  exit
elif [ "$status" != 0 ]; then
  exit "$status"
fi

PATH="$PWD/build/venv/bin:$PATH"
ruff check --quiet
ruff format --quiet --check --diff
mypy
rm -rf build/dist
pip wheel --quiet --no-deps --no-build-isolation --wheel-dir build/dist .
export PRIMATOMIC_WHEEL="$(echo "$PWD"/build/dist/primatomic-*.whl)"
pip install --quiet --no-deps --force-reinstall "$PRIMATOMIC_WHEEL"
# shellcheck disable=SC2086
exec pytest --quiet ${PYTEST_FLAGS:-}
