#!/usr/bin/env bash
# Tries what a fuzzer makes up on one of fuzz/targets, or on each, for so many seconds: fuzz.sh [TARGET [SECONDS]]. Coverage guides
# it, which the pinned compiler gives without a sanitizer. What is learnt is kept in fuzz/corpus; what breaks a target, in
# fuzz/findings.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

all=$(basename -s .rs targets/*.rs | xargs)
targets=${1:-$all}
seconds=${2:-60}
if [[ " $all " != *" $targets "* || $seconds != +([0-9]) ]]; then
	echo "usage: hack/fuzz.sh [TARGET [SECONDS]], where TARGET is one of: $all" >&2
	exit 2
fi

coverage=(
	-Cpasses=sancov-module
	-Cllvm-args=-sanitizer-coverage-level=4
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters
	-Cllvm-args=-sanitizer-coverage-pc-table
	-Cllvm-args=-sanitizer-coverage-trace-compares
	-Cllvm-args=-sanitizer-coverage-stack-depth
)
# The project's dependencies, at its own versions.
cp ../Cargo.lock Cargo.lock
# Where a platform is named, these flags are for what runs on it alone: not for build scripts and macros.
platform=$(rustc --version --verbose | sed -n 's/^host: //p')
RUSTFLAGS="${coverage[*]} --cfg fuzzing" cargo build --quiet --target "$platform" --bins

mkdir -p findings
for target in $targets; do
	echo "fuzz: $target, for $seconds seconds" >&2
	mkdir -p "corpus/$target"
	"target/$platform/debug/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
		-dict="dictionaries/$target" -artifact_prefix="findings/$target-" -print_final_stats=1 -print_funcs=0 \
		"corpus/$target" "seeds/$target"
done
