#!/usr/bin/env bash
# Makes the environment that the SDK is generated, checked, tested and built in: build/venv, with requirements.txt.
# Without a python3 that can, it ends with status 3.
set -euo pipefail
cd "$(dirname "$0")"

if ! python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
  echo "sdk/python takes python3, 3.10 or newer, with venv" >&2
  exit 3
fi
cmp -s requirements.txt build/venv/made-of && build/venv/bin/python -c '' 2>/dev/null && exit
rm -rf build/venv
python3 -m venv build/venv
build/venv/bin/pip install --quiet --no-deps --requirement requirements.txt
cp requirements.txt build/venv/made-of
