#!/usr/bin/env bash
# Generates the messages of the API, into the package or into the directory that is given. Run by check.sh's environment.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
exec "$here/build/venv/bin/python" -m grpc_tools.protoc --proto_path="$here/../../proto" \
  --python_out="${1:-$here/src}" --pyi_out="${1:-$here/src}" primatomic/v1/keyvalue.proto
