#!/usr/bin/env bash
# What CI looks at before it tests, beside lint: each crate alone, the fuzz targets, dependencies, generated files.
set -euo pipefail
cd "$(dirname "$0")/.."

# Cargo unifies features of packages that are built together; alone, a crate shows what it forgot to ask for.
crates=$(cargo metadata --format-version 1 --no-deps --locked |
	python3 -c 'import json, sys; print(*(package["name"] for package in json.load(sys.stdin)["packages"]))')
for crate in $crates; do
	echo "check: $crate alone" >&2
	cargo check --quiet --package "$crate"
done

echo "check: what fuzzes them" >&2
# A workspace of its own, at the project's versions. With the project's profile it takes what the gateway alone was checked with;
# and as nothing is linked, the fuzzer's C++ is not compiled.
cp Cargo.lock fuzz/Cargo.lock
cargo fetch --quiet --offline --manifest-path fuzz/Cargo.toml 2>/dev/null || cargo fetch --quiet --manifest-path fuzz/Cargo.toml
CUSTOM_LIBFUZZER_PATH=/dev/null cargo check --quiet --offline --manifest-path fuzz/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-target}" \
	--config profile.dev.opt-level=0 --config 'profile.dev.debug="line-tables-only"' --config 'profile.dev.package."*".debug=false'

echo "check: dependencies" >&2
cargo fetch --quiet --locked
deny=$(hack/tool.sh cargo-deny)
"$deny" --offline --workspace check --hide-inclusion-graph bans licenses sources

echo "check: generated files" >&2
make --silent generate
if ! git diff --exit-code --stat -- charts config docs; then
	echo "generated files differ from what is committed: run 'make generate' and commit the result" >&2
	exit 1
fi
untracked=$(git ls-files --others --exclude-standard -- charts config docs)
if [[ -n $untracked ]]; then
	echo "generated and not committed: $untracked" >&2
	exit 1
fi
