#!/usr/bin/env bash
# Runs the operator on this machine, against the cluster of $KUBECONFIG or the local control plane. Its webhooks are
# registered by URL, so the API server must reach this machine at WEBHOOK_HOST (default 127.0.0.1).
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ -z ${KUBECONFIG:-} && -e .cluster/kubeconfig ]]; then
	export KUBECONFIG=$PWD/.cluster/kubeconfig
fi
built=$(hack/build.sh)
exec "$built/mcp-operator" run \
	--webhook-url "https://${WEBHOOK_HOST:-127.0.0.1}:${WEBHOOK_PORT:-9443}" "$@"
