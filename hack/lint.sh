#!/usr/bin/env bash
# Formatting, clippy with warnings as errors, and the syntax of shell scripts.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo fmt --all --check
cargo fmt --manifest-path fuzz/Cargo.toml --check
cargo clippy --quiet --workspace --all-targets -- -D warnings
for script in hack/*.{sh,bash} hack/local-cluster/*.bash tests/clients/*.{sh,bash} .ci/run; do
	bash -n "$script"
done
unformatted=$(gofmt -l hack)
if [[ -n $unformatted ]]; then
	echo "not formatted by gofmt: $unformatted" >&2
	exit 1
fi
