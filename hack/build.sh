#!/usr/bin/env bash
# Builds the workspace's programs and examples, and prints the directory that they are in.
#
# All are built at once, and as the tests are: cargo gives dependencies the features that are asked for together, and another
# selection would compile them another time.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --workspace --bins --examples
printf '%s\n' "${CARGO_TARGET_DIR:-target}/debug"
