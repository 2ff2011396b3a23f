#!/usr/bin/env bash
# Measures, and prints each figure with what it is compared with. With names it measures only those parts:
#   rules         what each step of deciding costs
#   growth        how deciding grows with the number of objects
#   admission     reviews over TLS, beside a handler that only parses; needs two cores
#   instructions  the same by instructions in user space, which no busy machine can blur; needs valgrind
#   creation      what both webhooks add to a creation through a real API server
#   servers       what a thousand servers cost: time, requests, CPU time and memory
#   memory        what the operator holds, up to 1,000 servers and 10,000 tools; takes some minutes
source "$(dirname "${BASH_SOURCE[0]}")/bench.bash"

# What callgrind counts for a command, in instructions.
count() {
	local out
	out=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>&1 >/dev/null) || {
		printf '%s\n' "$out" >&2
		return 1
	}
	awk '/Collected *:/ { print $NF }' <<<"$out"
}

# Instructions of one run of a step: what 300 runs more add.
step() {
	local few many
	few=$(count "$binary" repeat "$1" 100)
	many=$(count "$binary" repeat "$1" 400)
	printf '| %s | %s |\n' "$2" $(((many - few) / 300))
}

instructions() {
	if ! command -v valgrind >/dev/null; then
		echo "not measured: valgrind is not installed"
		return
	fi
	printf '| step | instructions |\n|---|---|\n'
	step parse-tool 'a review of a tool into JSON values, as the bare handler does it'
	step mutating-tool 'review to answer, mutating, MCPTool'
	step validating-tool 'review to answer, validating, MCPTool'
	step mutating-server 'review to answer, mutating, MCPServer'
	step validating-server 'review to answer, validating, MCPServer'
	step rules-tool 'rules on a typical tool'
	"$binary" requests
}

measure() {
	case $1 in
	rules | growth | creation | servers | memory) "$binary" "$1" ;;
	# The load keeps off the server's core.
	admission) taskset -c "1-$(($(nproc --all) - 1))" "$binary" admission ;;
	instructions) instructions ;;
	*)
		echo "no such part" >&2
		exit 2
		;;
	esac
}

(($# > 0)) || set -- rules growth admission instructions creation servers memory
binary=$(hack/build.sh bench mcp-operator)
report "$@"
