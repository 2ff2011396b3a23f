#!/usr/bin/env bash
# kubectl against $KUBECONFIG, or the local control plane: the one on PATH, or else the one built with the control plane.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ -z ${KUBECONFIG:-} && -e .cluster/kubeconfig ]]; then
	export KUBECONFIG=$PWD/.cluster/kubeconfig
fi
if [[ -z ${KUBECONFIG:-} && ! -e $HOME/.kube/config ]]; then
	echo "no cluster: set KUBECONFIG, or start a local one with 'make control-plane'" >&2
	exit 1
fi
if command -v kubectl >/dev/null; then
	exec kubectl "$@"
fi
binary=$(hack/control-plane.sh build)
exec "$binary" kubectl "$@"
