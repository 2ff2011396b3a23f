#!/usr/bin/env bash
# Which lines the tests without a cluster reach, as a table a file.
set -euo pipefail
cd "$(dirname "$0")/.."
tarpaulin=$(hack/tool.sh cargo-tarpaulin)
exec "$tarpaulin" tarpaulin --workspace --lib --bins --test it --engine llvm --exclude-files 'hack/*' --exclude-files 'benches/*' \
	--exclude-files '*tests/*' --exclude-files '*/tests.rs' --target-dir target/coverage --skip-clean --out Stdout
