#!/usr/bin/env bash
# Prints the path of redis-server, for tests; installs the distribution's where there is none.
set -euo pipefail

missing() {
	echo "redis-server is not installed, and tests need it: on Debian and Ubuntu, apt-get install redis-server as root" >&2
	exit 1
}

if ! command -v redis-server; then
	if ! command -v apt-get >/dev/null || ((EUID != 0)); then
		missing
	fi
	export DEBIAN_FRONTEND=noninteractive
	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	{ apt-get update && apt-get install --yes --no-install-recommends redis-server; } >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		missing
	}
	command -v redis-server
fi
