#!/usr/bin/env bash
# The benchmark's call, as a server on the TypeScript SDK does it: `typescript.sh install`, `typescript.sh serve PORT BACKEND`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/peers/typescript
if [[ $1 == install ]]; then
	[[ -e $home/complete ]] && exit
	mkdir -p "$home"
	npm --prefix "$home" install --silent --no-audit --no-fund @modelcontextprotocol/sdk@1.32.2 zod@3 >&2
	touch "$home/complete"
	exit
fi
# Beside its modules, which is where node looks for them.
cp "$here/server.mjs" "$home/server.mjs"
exec node "$home/server.mjs" "$2" "$3"
