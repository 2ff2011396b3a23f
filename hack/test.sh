#!/usr/bin/env bash
# Runs the tests and ends with a line that counts them: `fast` needs no cluster, `api` a real API server, `all` is both.
set -uo pipefail
cd "$(dirname "$0")/.."

what=${1:-all}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0

run() {
	"$@" 2>&1 | tee -a "$log"
	local ended=${PIPESTATUS[0]}
	if ((ended != 0)); then
		status=$ended
	fi
}

case $what in
fast | all)
	run cargo test --workspace --lib --bins --examples --test '*' --exclude mcp-operator
	run cargo test --package mcp-operator --lib --bins --test it
	run cargo test --workspace --doc
	;;&
api | all)
	# Built first, so that the five minutes it takes on a new machine are not a test's.
	hack/control-plane.sh build >/dev/null || exit 1
	cargo build --quiet --bin mcp-operator && cargo build --quiet --package mcp-k8s-server || exit 1
	# They wait for others more than they work.
	run cargo test --package mcp-operator --test api -- --test-threads "${TEST_THREADS:-6}"
	;;
esac

if [[ ${CI:-} == true ]] && grep -Eq '^SKIPPED|[1-9][0-9]* ignored;' "$log"; then
	echo "in CI a skipped test is a failure" >&2
	status=1
fi

# cargo prints a line a binary; this is their sum.
awk '/^test result:/ {
		for (i = 2; i <= NF; i++) {
			if ($i == "passed;") passed += $(i - 1)
			if ($i == "failed;") failed += $(i - 1)
			if ($i == "ignored;") skipped += $(i - 1)
		}
	}
	END { printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$log"
exit "$status"
