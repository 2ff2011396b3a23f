#!/usr/bin/env bash
# A Kubernetes cluster with a node, without Docker. See hack/README.md.
source "$(dirname "${BASH_SOURCE[0]}")/local-cluster/script.bash"

usage() {
	cat <<-END
		usage: hack/cluster.sh VERB

		  build          build what the cluster is made of where it is missing, and print the path of its binary
		  up             start a cluster and leave its kubeconfig at .cluster/kubeconfig
		  down           end it and remove .cluster
		  kubectl ...    run kubectl against it
	END
}

# Installs Debian's packages of what runs containers and connects them, where that is possible; what is missing otherwise,
# the start says.
install_packages() {
	local program packages=()
	for program in containerd runc iptables conntrack; do
		command -v "$program" >/dev/null || packages+=("$program")
	done
	[[ -x /usr/lib/cni/ptp || -x /opt/cni/bin/ptp || -x /usr/libexec/cni/ptp ]] || packages+=(containernetworking-plugins)
	if ((${#packages[@]} == 0)) || ((EUID != 0)) || ! command -v apt-get >/dev/null; then
		return
	fi
	say "installing ${packages[*]}"
	export DEBIAN_FRONTEND=noninteractive
	local log
	log=$(mktemp)
	{
		apt-get install --yes --quiet --no-install-recommends "${packages[@]}" ||
			{ apt-get update --quiet && apt-get install --yes --quiet --no-install-recommends "${packages[@]}"; }
	} >"$log" 2>&1 || {
		tail -n 5 "$log" >&2
		say "the packages could not be installed"
	}
	rm -f "$log"
}

make_images() {
	local directory=$1 builder=$2 binary name
	local new=$directory.new
	shift 2
	rm -rf "$new"
	mkdir -p "$new"
	for binary in "$@"; do
		name=${binary##*/}
		"$builder" --name "docker.io/local/$name:1" --output "$new/$name.tar" "$binary"
	done
	mv "$new" "$directory"
}

build() {
	local binary builder hash images binaries=()
	install_packages
	binary=$(build_kubernetes)
	builder=$(build_module images "the image builder")
	binaries+=("$(build_module images pause ./pause)")
	binaries+=("$(build_module coredns "CoreDNS $(required coredns github.com/coredns/coredns)")")
	binaries+=("$(build_module metrics-server "metrics-server $(required metrics-server sigs.k8s.io/metrics-server)")")
	hash=$(printf '%s\n' "${binaries[@]}" | sha256sum | cut -c 1-16)
	images=$store/node-images/$hash
	once "$images/images" make_images "$images/images" "$builder" "${binaries[@]}"
	use "$images"
	# The binary looks for them beside itself.
	ln -sfn "$images/images" "$(dirname "$binary")/images"
	printf '%s\n' "$binary"
}

next_steps() {
	cat <<-END
		next:
		  export KUBECONFIG=$state/kubeconfig      for any client
		  make deploy                              builds, loads and installs the operator
		  make cluster-down                        when you are done
		Pods reach each other and this machine, nothing else. Logs: .cluster/logs
	END
}

run_verb cluster "$@"
