#!/usr/bin/env bash
# An MCP client on the official Python SDK; README.md says how it is asked. Installs the SDK where it is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)/python
key=$(cat "$here/requirements.txt" <(python3 --version) | sha256sum | cut -c1-16)
store=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/clients
venv=$store/python-$key
mkdir -p "$store"
exec 9>"$venv.lock"
flock 9
if [[ ! -e $venv/complete ]]; then
	echo "installing MCP's Python SDK, once" >&2
	rm -rf "$venv"
	python3 -m venv "$venv"
	"$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt" >&2
	touch "$venv/complete"
fi
exec 9>&-
exec "$venv/bin/python" "$here/client.py" "$@"
