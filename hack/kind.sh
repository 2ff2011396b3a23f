#!/usr/bin/env bash
# The same cluster where Docker is: a kind cluster of KUBERNETES_VERSION (default: kind's own), named CLUSTER_NAME, with the
# images that `make docker-build` made.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly cluster=${CLUSTER_NAME:-mcp-operator}

for program in kind docker; do
	command -v "$program" >/dev/null || {
		echo "kind.sh: $program is not installed; without Docker, 'make cluster' starts a cluster" >&2
		exit 1
	}
done

load() {
	local version image names=()
	version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
	for image in $(hack/image.sh list); do
		# Manifests name either tag.
		docker tag "${IMAGE_PREFIX:-}$image:$version" "$image:$version"
		docker tag "$image:$version" "$image:latest"
		names+=("$image:$version" "$image:latest")
	done
	kind load docker-image --name "$cluster" "${names[@]}"
}

# The sample server under other names, for manifests whose images are their users' own.
stand_in() {
	local version image
	version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
	for image in "$@"; do
		docker tag "${IMAGE_PREFIX:-}mcp-k8s-server:$version" "$image"
	done
	kind load docker-image --name "$cluster" "$@"
}

case ${1:-} in
create) kind create cluster --name "$cluster" --wait 2m ${KUBERNETES_VERSION:+--image "kindest/node:$KUBERNETES_VERSION"} ;;
load) load ;;
stand-in)
	shift
	stand_in "$@"
	;;
delete) kind delete cluster --name "$cluster" ;;
*)
	echo "usage: hack/kind.sh create|load|stand-in IMAGE...|delete" >&2
	exit 2
	;;
esac
