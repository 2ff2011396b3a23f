#!/usr/bin/env bash
# Measures the gateway, and prints each figure with what it is compared with. With names it measures only those parts:
#   calls     tools/call, beside a bare proxy, rmcp's server, FastMCP and the TypeScript SDK
#   lists     tools/list, beside a handler that returns the same bytes
#   sessions  sessions begun, used and ended with Redis, beside the least that does the same
#   memory    idle, with 10,000 sessions, with 10,000 streams; and how long the start takes
#   catalog   10,000 tools: loading them, and what a caller sees of it
#   soak      memory under ten minutes of load, while the catalog changes
# Needs wrk, redis-server and two cores: the server has core 0, all else core 1.
source "$(dirname "${BASH_SOURCE[0]}")/bench.bash"

measure() {
	case $1 in
	soak) "$binary" soak 10 ;;
	*) "$binary" "$1" ;;
	esac
}

(($# > 0)) || set -- calls lists sessions memory catalog soak
ulimit -n 30000 2>/dev/null || ulimit -n "$(ulimit -Hn)"

binary=$(hack/build.sh bench mcp-gateway)
report "$@"
