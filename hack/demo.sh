#!/usr/bin/env bash
# From nothing to a running operator: a local control plane, the operator with its webhooks, the samples applied, and a
# dozen wrong manifests refused. Everything it starts ends with it; `--keep` leaves the cluster and the operator running.
set -euo pipefail
cd "$(dirname "$0")/.."

keep=false
if [[ ${1:-} == --keep ]]; then
	keep=true
fi

if [[ -t 1 ]]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
	bold='' dim='' plain=''
fi

step() {
	printf '\n%s# %s%s\n' "$bold" "$*" "$plain"
}

# Shows a command, and runs it.
show() {
	printf '%s$ %s%s\n' "$dim" "$*" "$plain"
	"$@"
}

kubectl() {
	"$binary" kubectl "$@"
}

# Waits until a command succeeds: wait_for SECONDS WHAT COMMAND...
wait_for() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS >= deadline)) || { [[ -n $operator_pid ]] && ! kill -0 "$operator_pid" 2>/dev/null; }; then
			echo "demo: $what did not come about" >&2
			tail -n 20 "$log" >&2 || true
			exit 1
		fi
		sleep 0.2
	done
}

# Whether a port of this machine answers a path with 200.
answers() {
	local status
	exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
	read -r _ status _ <&3
	exec 3>&-
	[[ $status == 200 ]]
}

# Whether a command's output has a line.
says() {
	local line=$1
	shift
	"$@" | grep -qx "$line"
}

step "Building the control plane and the operator (minutes on a new machine, seconds afterwards)"
hack/control-plane.sh build >/dev/null &
building=$!
cargo build --quiet --bin mcp-operator
wait "$building"
binary=$(hack/control-plane.sh build)
operator=${CARGO_TARGET_DIR:-target}/debug/mcp-operator

operator_pid=''
mkdir -p .cluster
log=$PWD/.cluster/operator.log
started_cluster=false
end() {
	if $keep; then
		return
	fi
	if [[ -n $operator_pid ]]; then
		kill "$operator_pid" 2>/dev/null || true
		wait "$operator_pid" 2>/dev/null || true
	fi
	if $started_cluster; then
		hack/control-plane.sh down >/dev/null 2>&1 || true
	fi
}
trap end EXIT

step "Starting an API server"
if [[ ! -e .cluster/kubeconfig ]]; then
	started_cluster=true
fi
hack/control-plane.sh up
export KUBECONFIG=$PWD/.cluster/kubeconfig

step "Installing the four kinds, and starting the operator"
show kubectl apply -f config/crd/bases
admin_port=$((20000 + RANDOM % 10000))
webhook_port=$((30000 + RANDOM % 10000))
"$operator" run --webhook-url "https://127.0.0.1:$webhook_port" --webhook-address 127.0.0.1 --webhook-port "$webhook_port" \
	--admin-address 127.0.0.1 --admin-port "$admin_port" >"$log" 2>&1 &
operator_pid=$!
wait_for 60 "the operator's readiness" answers "$admin_port" /readyz
echo "ready: http://127.0.0.1:$admin_port/readyz"

step "Applying the samples, unchanged"
show kubectl create namespace mcp-system
show kubectl apply -f config/samples/seeds
step "Applying a server with its tools, prompts and resources"
show kubectl apply -f config/samples
wait_for 30 "production-mcpserver's Deployment" kubectl get deployment production-mcpserver -n mcp-system
wait_for 30 "main's status" says GatewayNotAvailable kubectl get mcps main -n mcp-system -o 'jsonpath={.status.conditions[?(@.type=="Ready")].reason}{"\n"}'
show kubectl get mcps,mcpt,mcpp,mcpr --all-namespaces
show kubectl get deployments,services,configmaps --all-namespaces -l app.kubernetes.io/managed-by=mcp-operator

step "What the webhook filled in: name, requests by transport, every default"
show kubectl get mcps example-mcp -n default -o 'jsonpath={.spec}'
echo

step "What is wrong is refused at once, with every error"
for manifest in config/samples/refused/*.yaml; do
	echo
	printf '%s$ kubectl apply -f %s%s\n' "$dim" "$manifest" "$plain"
	if kubectl apply -f "$manifest" 2>&1; then
		echo "demo: $manifest was accepted, and should not be" >&2
		exit 1
	fi
done

step "The same without a cluster"
show "$operator" check -f config/samples/refused || true

if $keep; then
	step "Left running"
	echo "export KUBECONFIG=$KUBECONFIG"
	echo "operator: process $operator_pid, log $log; end it with 'kill $operator_pid', and the cluster with 'make cluster-down'"
fi
