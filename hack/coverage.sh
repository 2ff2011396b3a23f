#!/usr/bin/env bash
# Which lines the tests without a cluster reach, as a table a file.
set -euo pipefail
cd "$(dirname "$0")/.."
tarpaulin=$(hack/tool.sh cargo-tarpaulin)
exec "$tarpaulin" tarpaulin --workspace --lib --tests --exclude-files 'hack/*' --exclude-files 'tests/*' --exclude-files '*/tests/*' \
	--target-dir target/coverage --skip-clean --out Stdout --implicit-test-threads -- --skip api::
