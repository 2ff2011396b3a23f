#!/usr/bin/env bash
# Fetches the JSON Schema Test Suite (MIT), as the source distribution of the Python package jsonschema carries it, into
# a cache, and prints the directory of its tests. What is there already is not fetched again.
set -euo pipefail

version=4.26.0
sha256=0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326

cache="${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/corpus"
suite="$cache/json-schema-test-suite-$version"

if [[ ! -d $suite ]]; then
    mkdir -p "$cache"
    scratch=$(mktemp -d "$cache/.fetch.XXXXXX")
    trap 'rm -rf "$scratch"' EXIT
    echo "jsonschema==$version --hash=sha256:$sha256" >"$scratch/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-binary jsonschema --require-hashes \
        --requirement "$scratch/requirements.txt" --dest "$scratch" >&2
    tar -xzf "$scratch/jsonschema-$version.tar.gz" -C "$scratch" --strip-components=2 \
        "jsonschema-$version/json/tests" "jsonschema-$version/json/LICENSE"
    mkdir "$scratch/suite"
    mv "$scratch/tests" "$scratch/LICENSE" "$scratch/suite"
    # Of two that fetch at once, the first to get here wins.
    mv --no-target-directory "$scratch/suite" "$suite" 2>/dev/null || [[ -d $suite ]]
fi
echo "$suite/tests"
