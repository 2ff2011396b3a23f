#!/usr/bin/env bash
# Installs the operator into the cluster and waits until it is ready (up), or removes it in the order that leaves nothing
# (down). OVERLAY says what is installed, config/default unless something else is said.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly overlay=${OVERLAY:-config/default} namespace=mcp-operator-system

kubectl() {
	hack/kubectl.sh "$@"
}

up() {
	local before after
	before=$(kubectl get deployment mcp-operator --namespace "$namespace" --ignore-not-found --output 'jsonpath={.metadata.generation}')
	kubectl apply --kustomize "$overlay"
	after=$(kubectl get deployment mcp-operator --namespace "$namespace" --output 'jsonpath={.metadata.generation}')
	# The manifests are the same, but the image of that name may not be.
	if [[ $before == "$after" ]]; then
		kubectl rollout restart deployment/mcp-operator --namespace "$namespace"
	fi
	kubectl rollout status deployment/mcp-operator --namespace "$namespace" --timeout "${TIMEOUT:-2m}"
}

down() {
	# First the servers, while the operator is there to clean up behind them.
	if kubectl get customresourcedefinition mcpservers.mcp.example.com >/dev/null 2>&1; then
		kubectl delete mcps --all --all-namespaces --timeout "${TIMEOUT:-2m}"
	fi
	kubectl delete --kustomize "$overlay" --ignore-not-found
}

case ${1:-} in
up) up ;;
down) down ;;
*)
	echo "usage: hack/deploy.sh up|down" >&2
	exit 2
	;;
esac
