#!/usr/bin/env bash
# Prints the path of redis-server, for tests; installs the distribution's where there is none.
set -euo pipefail
if ! command -v redis-server; then
	if ! command -v apt-get >/dev/null || ((EUID != 0)); then
		echo "redis-server is not installed" >&2
		exit 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update && apt-get install --yes --no-install-recommends redis-server; } >&2
	command -v redis-server
fi
