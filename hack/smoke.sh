#!/usr/bin/env bash
# Whether the operator of a cluster works, from outside: the samples are taken, and those that are wrong refused, and servers
# get what they consist of. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly namespaces='default mcp-system'

kubectl() {
	hack/kubectl.sh "$@"
}

fail() {
	echo "smoke: $*" >&2
	exit 1
}

leave_nothing() {
	kubectl delete --ignore-not-found --filename config/samples/seeds >/dev/null
	kubectl delete --ignore-not-found --kustomize config/samples >/dev/null
	kubectl delete --ignore-not-found namespace mcp-system >/dev/null
}

kubectl create namespace mcp-system --dry-run=client --output yaml | kubectl apply --filename -
trap leave_nothing EXIT
kubectl apply --kustomize config/samples/redis
kubectl apply --filename config/samples/seeds
kubectl apply --kustomize config/samples

for manifest in config/samples/refused/*.yaml; do
	if said=$(kubectl apply --filename "$manifest" 2>&1); then
		fail "$manifest was accepted"
	fi
	# The line of each mistake stands in the manifest.
	sed -n 's/^# \* //p' "$manifest" | while IFS= read -r line; do
		grep -qF -- "$line" <<<"$said" || fail "$manifest was refused for something else: $said"
	done
done

for namespace in $namespaces; do
	for server in $(kubectl get mcps --namespace "$namespace" --output 'jsonpath={.items[?(@.spec.image)].metadata.name}'); do
		kubectl wait --namespace "$namespace" --timeout 60s --for create "deployment/$server" "service/$server"
	done
done
echo "the operator works"
