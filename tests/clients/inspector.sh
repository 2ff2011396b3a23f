#!/usr/bin/env bash
# The command line of MCP's Inspector; the arguments are its own. Installs it, and the Node.js that it needs, where it is
# missing.
source "$(dirname "${BASH_SOURCE[0]}")/install.bash"
install_node inspector "MCP's Inspector"
PATH="$home/node_modules/.bin:$PATH" exec "$home/node_modules/.bin/mcp-inspector" --cli "$@"
