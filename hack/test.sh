#!/usr/bin/env bash
# Runs the tests and ends with a line that counts them: `fast` needs no cluster, `api` a real API server, `e2e` a cluster that
# runs pods, `all` is all of them.
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

fail() {
	echo "test.sh: $*" >&2
	exit 1
}

# What clusters consist of is built beside the first tests, so that the minutes it takes on a new machine are not a test's.
case $what in
fast) building='' ;;
api)
	hack/control-plane.sh build >/dev/null &
	building=$!
	;;
e2e | all)
	hack/cluster.sh build >/dev/null &
	building=$!
	;;
*)
	echo "usage: hack/test.sh fast|api|e2e|all" >&2
	exit 2
	;;
esac

case $what in
fast | all)
	[[ $what == fast ]] || export LIFECYCLES=30000
	# The longest of them wait for time to pass more than they work.
	run cargo test --no-fail-fast --workspace --lib --bins --examples --test it -- --test-threads "${TEST_THREADS:-8}"
	run cargo test --workspace --doc
	[[ $what == fast ]] || run hack/conformance.sh
	;;
esac
if [[ -n $building ]]; then
	wait "$building" || fail "what clusters consist of could not be built"
fi
case $what in
api | all)
	hack/build.sh >/dev/null || fail "the programs could not be built"
	# They wait for others more than they work.
	run cargo test --workspace --test api -- --test-threads "${TEST_THREADS:-6}"
	;;
esac
case $what in
e2e | all)
	hack/image.sh build >/dev/null || fail "the images could not be built"
	# As the binary is built, so that what it consists of is not compiled again.
	run env CGO_ENABLED=0 GOWORK=off go test -C hack/local-cluster -trimpath -count 1 -v .
	run cargo test --workspace --test e2e -- --test-threads "${TEST_THREADS:-4}"
	;;
esac

if [[ ${CI:-} == true ]] && grep -Eq '^SKIPPED|[1-9][0-9]* ignored;|^--- SKIP' "$log"; then
	echo "in CI a skipped test is a failure" >&2
	status=1
fi

# cargo prints a line a binary, and Go a line a test; this is their sum.
awk '/^test result:/ {
		for (i = 2; i <= NF; i++) {
			if ($i == "passed;") passed += $(i - 1)
			if ($i == "failed;") failed += $(i - 1)
			if ($i == "ignored;") skipped += $(i - 1)
		}
	}
	/^--- PASS/ { passed++ }
	/^--- FAIL/ { failed++ }
	/^--- SKIP/ { skipped++ }
	END { printf "\n%d passed, %d failed, %d skipped\n", passed, failed, skipped }' "$log"
exit "$status"
