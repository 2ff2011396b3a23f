#!/usr/bin/env bash
# Which lines the tests without a cluster reach, as a table a file.
set -euo pipefail
cd "$(dirname "$0")/.."
tarpaulin=$(hack/tool.sh cargo-tarpaulin)
# By name, because the tests on clusters are integration tests too.
tests=()
for file in tests/it/main.rs ./*/tests/*.rs; do
	name=$(basename "${file%/main.rs}" .rs)
	[[ $name == api || $name == e2e ]] || tests+=(--test "$name")
done
exec "$tarpaulin" tarpaulin --workspace --lib --bins "${tests[@]}" --engine llvm --exclude-files 'hack/*' --exclude-files 'benches/*' \
	--exclude-files '*tests/*' --exclude-files '*/tests.rs' --target-dir target/coverage --skip-clean --out Stdout
