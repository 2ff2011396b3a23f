#!/usr/bin/env bash
# Prints the path of a pinned development tool; installs it first where it is missing.
set -euo pipefail
case ${1:-} in
cargo-deny) version=0.20.2 ;;
cargo-tarpaulin) version=0.37.5 ;;
*)
	echo "usage: hack/tool.sh cargo-deny|cargo-tarpaulin" >&2
	exit 2
	;;
esac
store=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/tools
binary=$store/bin/$1
if [[ $("$binary" --version 2>/dev/null) != *"$version"* ]]; then
	echo "installing $1 $version; this takes some minutes, once" >&2
	cargo install --quiet --locked --root "$store" --version "$version" "$1" >&2
fi
printf '%s\n' "$binary"
