#!/usr/bin/env bash
# An MCP client on the official Python SDK; README.md says how it is asked. Installs the SDK where it is missing.
source "$(dirname "${BASH_SOURCE[0]}")/install.bash"

from_pip() {
	python3 -m venv "$home"
	"$home/bin/pip" install --quiet --disable-pip-version-check --requirement "$clients/$1/requirements.txt" >&2
}

key=$(cat "$clients/python/requirements.txt" <(python3 --version) | sha256sum | cut -c1-16)
install_once python "MCP's Python SDK" "$key" from_pip
exec "$home/bin/python" "$clients/python/client.py" "$@"
