#!/usr/bin/env bash
# Builds the images with Docker, named IMAGE_PREFIX, name and version. `hack/image.sh` makes the same without Docker.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
for target in operator gateway k8s-server; do
	image=${IMAGE_PREFIX:-}mcp-$target:$version
	docker build --target "$target" --build-arg COMMIT="$commit" --tag "$image" "$@" .
	echo "built $image"
done
