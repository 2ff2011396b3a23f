#!/usr/bin/env bash
# The command line of MCP's Inspector; the arguments are its own. Installs it, and the Node.js that it needs, where it is
# missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)/inspector
key=$(sha256sum <"$here/package-lock.json" | cut -c1-16)
store=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/clients
home=$store/inspector-$key
mkdir -p "$store"
exec 9>"$home.lock"
flock 9
if [[ ! -e $home/complete ]]; then
	echo "installing MCP's Inspector, once" >&2
	rm -rf "$home"
	mkdir "$home"
	cp "$here"/{package.json,package-lock.json} "$home"
	npm --prefix "$home" ci --silent --no-audit --no-fund >&2
	touch "$home/complete"
fi
exec 9>&-
PATH="$home/node_modules/.bin:$PATH" exec "$home/node_modules/.bin/mcp-inspector" --cli "$@"
