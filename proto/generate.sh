#!/usr/bin/env bash
# Generates the Go code beside the .proto files. Versions are pinned: the plugin for messages to the
# protobuf module of go.mod, the plugin for services here. Needs the Go module proxy, and protoc of
# Debian's protobuf-compiler, which is installed when we may.
set -euo pipefail
cd "$(dirname "$0")/.."

GRPC_PLUGIN_VERSION=v1.6.2

if ! command -v protoc >/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -q
    apt-get install -q -y --no-install-recommends protobuf-compiler
  else
    echo "protoc is missing; install it with: sudo apt-get install protobuf-compiler" >&2
    exit 1
  fi
fi

export GOBIN="$PWD/bin"
mkdir -p "$GOBIN"
go install google.golang.org/protobuf/cmd/protoc-gen-go
go install "google.golang.org/grpc/cmd/protoc-gen-go-grpc@$GRPC_PLUGIN_VERSION"

PATH="$GOBIN:$PATH" protoc --proto_path=proto \
  --go_out=proto --go_opt=paths=source_relative \
  --go-grpc_out=proto --go-grpc_opt=paths=source_relative \
  proto/primatomic/v1/*.proto
