#!/usr/bin/env bash
# Builds what the workspace consists of, and prints where it is.
#
#   hack/build.sh                 the programs and examples; prints their directory
#   hack/build.sh bench PACKAGE   the benchmarks, optimized; prints the path of this package's
#
# All packages are built at once, and the programs as the tests are: cargo gives dependencies the features that are asked for
# together, and another selection would compile them another time.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
'')
	cargo build --quiet --workspace --bins --examples
	printf '%s\n' "${CARGO_TARGET_DIR:-target}/debug"
	;;
bench)
	# Cargo names the binaries that it has built, one a line of JSON.
	binary=$(cargo bench --quiet --workspace --bench performance --no-run --message-format=json |
		sed -n '/#'"$2"'@/ s/.*"name":"performance".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
	[[ -x $binary ]] || {
		echo "the benchmarks were not built" >&2
		exit 1
	}
	printf '%s\n' "$binary"
	;;
*)
	echo "usage: hack/build.sh [bench PACKAGE]" >&2
	exit 2
	;;
esac
