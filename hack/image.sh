#!/usr/bin/env bash
# Makes the container images from static binaries, without Docker. See hack/README.md.
source "$(dirname "${BASH_SOURCE[0]}")/local-cluster/script.bash"
cd "$root"

# Our images: each a binary, from the package of that name.
readonly images=(mcp-operator mcp-k8s-server mcp-gateway)
readonly output=$root/target/images
# Where clients find the authorities that they trust, on this machine and in the images.
readonly authorities=/etc/ssl/certs/ca-certificates.crt
readonly profile=${PROFILE:-image}
host=$(rustc -vV | sed -n 's/^host: //p')
readonly host

usage() {
	cat <<-END
		usage: hack/image.sh VERB

		  build [NAME...]   make target/images/NAME.tar, of all images or those named
		  stand-in IMAGE... make target/images/stand-in.tar: the sample server under these full names, for manifests whose
		                    images are their users' own
		  redis             make target/images/redis.tar: this machine's redis-server, under the name that config/samples/redis has
		  load [FILE...]    load these files, or those that build made, into the local cluster or a kind cluster
		  list              name them
	END
}

compile_static() {
	local name commit packages=()
	for name in "$@"; do
		packages+=(--package "$name" --bin "$name")
	done
	commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
	# With a target of its own, only what is for the image is built statically, and procedural macros as ever.
	MCP_OPERATOR_COMMIT=$commit RUSTFLAGS='-C target-feature=+crt-static' cargo build --quiet --locked --profile "$profile" \
		--target "$host" --target-dir target/image "${packages[@]}"
}

build() {
	local name version
	version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
	say "building $*; the first time takes some minutes"
	compile_static "$@" || fail "the build failed"
	for name in "$@"; do
		pack "$name" "$name" "docker.io/library/$name:latest" "docker.io/library/$name:$version"
	done
}

stand_in() {
	compile_static mcp-k8s-server || fail "the build failed"
	pack mcp-k8s-server stand-in "$@"
}

# With the libraries that it is linked to.
redis() {
	local server library files=()
	server=$(hack/redis-server.sh)
	files=("$(realpath "$server")=/usr/bin/redis-server")
	for library in $(ldd "$server" | grep -o '/[^ ]*'); do
		files+=("$library=$library")
	done
	pack_files redis "${files[@]}" -- docker.io/library/redis:7
}

# Packs a binary and prints the file's path: pack BINARY FILE IMAGE...
pack() {
	local name=$1 file=$2 files
	shift 2
	files=("target/image/$host/$profile/$name=/$name")
	[[ -e $authorities ]] && files+=("$authorities=$authorities")
	pack_files "$file" "${files[@]}" -- "$@"
}

# Likewise of any files, the first of which is the entry point: pack_files FILE SOURCE=/PATH... -- IMAGE...
pack_files() {
	local file=$output/$1.tar builder files=() arguments=()
	shift
	while [[ $1 != -- ]]; do
		files+=("$1")
		shift
	done
	shift
	while (($# > 0)); do
		arguments+=(--name "$1")
		shift
	done
	builder=$(build_module images "the image builder")
	mkdir -p "$output"
	"$builder" "${arguments[@]}" --output "$file" "${files[@]}"
	printf '%s\n' "$file"
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
stand-in)
	(($# > 0)) || fail "name the images"
	stand_in "$@"
	;;
load)
	if (($# == 0)); then
		set -- "${images[@]/%/.tar}"
		set -- "${@/#/$output/}"
	fi
	load "$@"
	;;
redis) redis ;;
list) printf '%s\n' "${images[@]}" ;;
help | -h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
