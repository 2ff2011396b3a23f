#!/usr/bin/env bash
# An MCP client on the official TypeScript SDK; README.md says how it is asked. Installs the SDK where it is missing.
source "$(dirname "${BASH_SOURCE[0]}")/install.bash"
install_node typescript "MCP's TypeScript SDK"
exec node "$home/client.mjs" "$@"
