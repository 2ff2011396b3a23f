#!/usr/bin/env bash
# Prints the path of a pinned development tool; installs it first where it is missing.
set -euo pipefail
case ${1:-} in
cargo-deny) version=0.20.2 ;;
cargo-tarpaulin) version=0.37.5 ;;
helm) version=4.3.1 module=helm.sh/helm/v4/cmd/helm ;;
*)
	echo "usage: hack/tool.sh cargo-deny|cargo-tarpaulin|helm" >&2
	exit 2
	;;
esac
store=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/tools
if [[ -n ${module:-} ]]; then
	# What Go builds does not know its version.
	binary=$store/bin/$1-$version
	if [[ ! -x $binary ]]; then
		echo "installing $1 $version; this takes some minutes, once" >&2
		building=$(mktemp -d)
		trap 'rm -rf "$building"' EXIT
		GOBIN=$building CGO_ENABLED=0 GOFLAGS='' go install "$module@v$version" >&2
		mkdir -p "$store/bin"
		mv "$building/$1" "$binary"
	fi
else
	binary=$store/bin/$1
	if [[ $("$binary" --version 2>/dev/null) != *"$version"* ]]; then
		echo "installing $1 $version; this takes some minutes, once" >&2
		cargo install --quiet --locked --root "$store" --version "$version" "$1" >&2
	fi
fi
printf '%s\n' "$binary"
