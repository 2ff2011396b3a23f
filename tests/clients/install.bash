# What the clients' scripts share: each installs its SDK once, at the versions that its directory names. Sourced.
# shellcheck shell=bash
set -euo pipefail
clients=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly clients

# Calls a function with the directory to install into, unless it was done before, and names that directory in $home. The key
# is what the installed things are made of: install NAME WHAT KEY FUNCTION
install_once() {
	local name=$1 what=$2 key=$3 make=$4 store lock
	store=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/clients
	home=$store/$name-$key
	mkdir -p "$store"
	exec {lock}>"$home.lock"
	flock "$lock"
	if [[ ! -e $home/complete ]]; then
		echo "installing $what, once" >&2
		rm -rf "$home"
		"$make" "$name"
		touch "$home/complete"
	fi
	exec {lock}>&-
}

from_npm() {
	local program
	for program in node npm; do
		command -v "$program" >/dev/null || {
			echo "$program is not installed, and this client needs it: install Node.js 20 or later, with npm" >&2
			exit 1
		}
	done
	mkdir "$home"
	# The client too, where there is one: node looks for modules beside it.
	cp "$clients/$1"/* "$clients/talk.mjs" "$home"
	npm --prefix "$home" ci --silent --no-audit --no-fund >&2
}

# Installs the modules of a directory: install_node NAME WHAT
install_node() {
	install_once "$1" "$2" "$(cat "$clients/$1"/* "$clients/talk.mjs" | sha256sum | cut -c1-16)" from_npm
}
