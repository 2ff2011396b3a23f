#!/usr/bin/env bash
# Measures the gateway, and prints each figure with what it is compared with. With names it measures only those parts:
#   calls     tools/call, beside a bare proxy, rmcp's server, FastMCP and the TypeScript SDK
#   lists     tools/list, beside a handler that returns the same bytes
#   sessions  sessions begun, used and ended with Redis, beside the least that does the same
#   memory    idle, with 10,000 sessions, with 10,000 streams; and how long the start takes
#   catalog   10,000 tools: loading them, and what a caller sees of it
#   soak      memory under ten minutes of load, while the catalog changes
# Needs wrk, redis-server and two cores: the server has core 0, all else core 1.
set -euo pipefail
cd "$(dirname "$0")/.."

parts=("$@")
if ((${#parts[@]} == 0)); then
	parts=(calls lists sessions memory catalog soak)
fi
ulimit -n 30000 2>/dev/null || ulimit -n "$(ulimit -Hn)"

binary=$(hack/build.sh bench mcp-gateway)

printf '# %s, %s cores, load %s\n' "$(git describe --always --dirty 2>/dev/null || echo 'no commit')" \
	"$(nproc)" "$(cut -d ' ' -f 1-3 /proc/loadavg)"
for part in "${parts[@]}"; do
	printf '\n## %s\n\n' "$part"
	case $part in
	soak) "$binary" soak 10 ;;
	*) "$binary" "$part" ;;
	esac
done
