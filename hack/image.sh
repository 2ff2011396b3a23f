#!/usr/bin/env bash
# Makes the container images from static binaries, without Docker. See hack/README.md.
source "$(dirname "${BASH_SOURCE[0]}")/local-cluster/script.bash"
cd "$root"

# The images: each a binary, from the package of that name.
readonly images=(mcp-operator mcp-k8s-server)
readonly output=$root/target/images
# Where clients find the authorities that they trust, on this machine and in the images.
readonly authorities=/etc/ssl/certs/ca-certificates.crt

usage() {
	cat <<-END
		usage: hack/image.sh VERB

		  build [NAME...]   make target/images/NAME.tar, of all images or those named
		  load [FILE...]    load these files, or those, into the local cluster or a kind cluster
		  list              name them
	END
}

compile_static() {
	local name packages=()
	for name in "$@"; do
		packages+=(--package "$name" --bin "$name")
	done
	# With a target of its own, only what is for the image is built statically, and procedural macros as ever.
	RUSTFLAGS='-C target-feature=+crt-static' cargo build --quiet --locked --profile "${PROFILE:-image}" \
		--target "$target" --target-dir target/image "${packages[@]}"
}

build() {
	local builder name version binary files
	local target
	target=$(rustc -vV | sed -n 's/^host: //p')
	version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
	builder=$(build_module images "the image builder")
	say "building $*; the first time takes some minutes"
	compile_static "$@" || fail "the build failed"
	mkdir -p "$output"
	for name in "$@"; do
		binary=target/image/$target/${PROFILE:-image}/$name
		files=("$binary=/$name")
		[[ -e $authorities ]] && files+=("$authorities=$authorities")
		"$builder" --name "docker.io/library/$name:latest" --name "docker.io/library/$name:$version" \
			--output "$output/$name.tar" "${files[@]}"
		printf '%s\n' "$output/$name.tar"
	done
}

# Into the cluster that hack/kubectl.sh speaks to.
load() {
	local context
	if [[ -z ${KUBECONFIG:-} && -e $state/kubeconfig ]]; then
		export KUBECONFIG=$state/kubeconfig
	fi
	context=$(hack/kubectl.sh config current-context) || fail "no cluster: start one with 'make cluster'"
	if [[ $context == kind-* ]]; then
		kind load image-archive --name "${context#kind-}" "$@"
	else
		"$(build_kubernetes)" load "$@"
	fi
}

verb=${1:-}
shift || true
case $verb in
build)
	(($# > 0)) || set -- "${images[@]}"
	build "$@"
	;;
load)
	if (($# == 0)); then
		set -- "${images[@]/%/.tar}"
		set -- "${@/#/$output/}"
	fi
	load "$@"
	;;
list) printf '%s\n' "${images[@]}" ;;
help | -h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
