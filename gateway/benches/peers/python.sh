#!/usr/bin/env bash
# The benchmark's call, as a FastMCP server does it: `python.sh install`, `python.sh serve PORT BACKEND`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/peers/python
if [[ $1 == install ]]; then
	[[ -e $venv/complete ]] && exit
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check fastmcp==4.1.0 >&2
	touch "$venv/complete"
	exit
fi
exec "$venv/bin/python" "$here/server.py" "$2" "$3"
