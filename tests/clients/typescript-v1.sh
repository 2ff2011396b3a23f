#!/usr/bin/env bash
# An MCP client on the first TypeScript SDK; README.md says how it is asked. Installs the SDK where it is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)/typescript-v1
key=$(cat "$here/package-lock.json" "$here/client.mjs" | sha256sum | cut -c1-16)
store=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/clients
home=$store/typescript-v1-$key
mkdir -p "$store"
exec 9>"$home.lock"
flock 9
if [[ ! -e $home/complete ]]; then
	echo "installing MCP's first TypeScript SDK, once" >&2
	rm -rf "$home"
	mkdir "$home"
	# Beside its modules, which is where node looks for them.
	cp "$here"/{package.json,package-lock.json,client.mjs} "$home"
	npm --prefix "$home" ci --silent --no-audit --no-fund >&2
	touch "$home/complete"
fi
exec 9>&-
exec node "$home/client.mjs" "$@"
