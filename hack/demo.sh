#!/usr/bin/env bash
# From nothing to MCP servers that a client uses: a cluster with pods, the operator in two replicas from its own image, the
# samples applied and their tools called, and a dozen wrong manifests refused. The cluster is kind where Docker is, and else
# the local one. It ends with this, unless it was there before; `--keep` leaves it running.
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
	hack/kubectl.sh "$@"
}

# What the manifests' users would bring. In the demo it is the sample server too.
readonly brought=(docker.io/library/ollama-mcp:latest docker.io/your-registry/mcp-k8s-server:v1.0.0)
stand_ins="the sample server for ${brought[0]#docker.io/library/} and ${brought[1]#docker.io/}"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
readonly version
readonly cluster_name=${CLUSTER_NAME:-mcp-operator}
started=false
forwarding=''
# What is built and started says more than anybody wants to read, unless it fails.
log=$(mktemp)

end() {
	local status=$?
	[[ -z $forwarding ]] || kill "$forwarding" 2>/dev/null || true
	if ((status != 0)); then
		tail -n 40 "$log" >&2
		echo "demo: it ended before its end, see above; 'hack/demo.sh --keep' leaves the cluster for a look" >&2
	fi
	rm -f "$log"
	if $started && ! $keep; then
		end_cluster >/dev/null 2>&1 || true
	fi
}
trap end EXIT

if command -v kind >/dev/null && docker info >/dev/null 2>&1; then
	readonly where=kind
	build() {
		hack/docker-build.sh
	}
	start_cluster() {
		if ! kind get clusters 2>/dev/null | grep -qx "$cluster_name"; then
			started=true
			hack/kind.sh create >"$log" 2>&1
		fi
		kubeconfig=$(mktemp)
		kind get kubeconfig --name "$cluster_name" >"$kubeconfig"
		export KUBECONFIG=$kubeconfig
	}
	end_cluster() {
		rm -f "$kubeconfig"
		hack/kind.sh delete
	}
	load() {
		hack/kind.sh load && hack/kind.sh stand-in "${brought[@]}"
	}
	# Services' addresses are the cluster's own, so one of its pods is asked.
	url() {
		kubectl port-forward --namespace "$1" "service/$2" 18080:mcp >>"$log" 2>&1 &
		forwarding=$!
		url=http://127.0.0.1:18080/mcp
		until (exec 3<>/dev/tcp/127.0.0.1/18080) 2>/dev/null; do
			kill -0 "$forwarding"
			sleep 0.1
		done
	}
	check() {
		docker run --rm --volume "$PWD/config:/config:ro" mcp-operator:latest check --filename "/$1"
	}
else
	readonly where=local
	stand_ins+=", this machine's redis-server for redis:7"
	build() {
		hack/cluster.sh build &
		local building=$!
		hack/image.sh build
		hack/image.sh stand-in "${brought[@]}"
		hack/image.sh redis
		wait "$building"
	}
	start_cluster() {
		[[ -e .cluster/kubeconfig ]] || started=true
		hack/cluster.sh up >"$log" 2>&1
		export KUBECONFIG=$PWD/.cluster/kubeconfig
	}
	end_cluster() {
		hack/cluster.sh down
	}
	load() {
		hack/image.sh load && hack/image.sh load target/images/stand-in.tar target/images/redis.tar
	}
	url() {
		url=http://$(kubectl get service "$2" --namespace "$1" \
			--output 'jsonpath={.spec.clusterIP}:{.spec.ports[0].port}')/mcp
	}
	check() {
		target/image/*/image/mcp-operator check --filename "$1"
	}
fi

# Shows what the official Python SDK is told by the server it asks, a line an answer.
ask() {
	tests/clients/python.sh "$url" 2>>"$log" | python3 -c '
import json, sys

for line in map(json.loads, sys.stdin):
    result = line.get("result", {})
    if "server" in line:
        server = line["server"]
        print("connected to", server["name"], server["version"], "by protocol", line["protocolVersion"])
    elif "tools" in result:
        for tool in result["tools"]:
            print("tool {:14} {}".format(tool["name"], tool["description"].split(". ")[0].rstrip(".")))
    elif "content" in result:
        print("error:" if result.get("isError") else "result:", result["content"][0]["text"].strip())
    else:
        print(json.dumps(line))
'
}

call() {
	printf '{"method": "tools/call", "params": {"name": "%s", "arguments": %s}}\n' "$1" "$2"
}

step "Building the images$([[ $where == local ]] && echo " and a cluster") (minutes on a new machine, seconds afterwards)"
build >"$log"
step "Starting a cluster ($where)"
start_cluster
show kubectl get nodes
load >"$log" 2>&1

step "Installing the operator"
show hack/deploy.sh up
show kubectl get pods --namespace mcp-operator-system

step "Applying the samples, unchanged"
echo "Stand-ins for images that cannot be had here: $stand_ins"
kubectl create namespace mcp-system --dry-run=client --output yaml | kubectl apply --filename - >"$log"
show kubectl apply -k config/samples/redis
show kubectl apply -f config/samples/seeds
step "Applying a server with its tools, prompts and resources"
show kubectl apply -k config/samples
echo
show kubectl wait --for condition=Ready --timeout 3m --namespace default \
	mcps/example-mcp mcps/basic-mcpserver mcps/advanced-mcpserver
show kubectl wait --for condition=Ready --timeout 3m --namespace mcp-system mcps/production-mcpserver mcps/cluster-tools
show kubectl wait --for condition=Ready --timeout 3m --namespace mcp-system mcps/main mcps/full
echo
show kubectl get mcps --all-namespaces
show kubectl get pods,services --all-namespaces --selector app.kubernetes.io/managed-by=mcp-operator

step "Calling their tools with the official Python SDK, through the Service"
url default basic-mcpserver
echo "basic-mcpserver runs as its namespace's default account, which may do nothing:"
{
	echo '{"method": "tools/list"}'
	call get-pod-logs '{"name": "hello"}'
} | ask
[[ -z $forwarding ]] || kill "$forwarding"
url mcp-system cluster-tools
echo
echo "cluster-tools runs as an account that may look after pods:"
call create-pod "{\"name\": \"hello\", \"image\": \"mcp-operator:$version\", \"args\": [\"version\"], \"restartPolicy\": \"Never\"}" | ask
kubectl wait --namespace mcp-system --for 'jsonpath={.status.phase}=Succeeded' --timeout 1m pod/hello >"$log"
{
	call get-pod-logs '{"name": "hello"}'
	call delete-pod '{"name": "hello"}'
} | ask

step "Adding a tool to a server that runs: the gateway's, with two replicas and Redis"
[[ -z $forwarding ]] || kill "$forwarding"
url mcp-system main
echo '{"method": "tools/list"}' | ask
show kubectl apply --filename - <<-END
	apiVersion: mcp.example.com/v1alpha1
	kind: MCPTool
	metadata:
	  name: return-book
	  namespace: mcp-system
	  labels:
	    mcp-server: main
	spec:
	  description: Take back a book from a reader
	  service:
	    name: lending
	    port: 8080
END
kubectl wait --namespace mcp-system --for 'jsonpath={.status.tools}=3' --timeout 1m mcps/main >"$log"
echo '{"method": "tools/list"}' | ask
show kubectl get pods --namespace mcp-system --selector app.kubernetes.io/instance=main

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

step "The same without a cluster, with the line and the column"
wrong=config/samples/refused/03-four-mistakes.yaml
printf '%s$ mcp-operator check -f %s%s\n' "$dim" "$wrong" "$plain"
if check "$wrong"; then
	echo "demo: $wrong was accepted, and should not be" >&2
	exit 1
fi

if $keep || ! $started; then
	step "Left running"
	echo "export KUBECONFIG=$KUBECONFIG"
	echo "end it with 'make $([[ $where == local ]] && echo cluster-down || echo kind-delete)'"
fi
