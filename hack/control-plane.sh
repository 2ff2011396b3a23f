#!/usr/bin/env bash
# A Kubernetes control plane without containers, built from Kubernetes' own modules. See hack/README.md.
source "$(dirname "${BASH_SOURCE[0]}")/local-cluster/script.bash"

usage() {
	cat <<-END
		usage: hack/control-plane.sh VERB

		  build         build the binary where it is missing, and print its path
		  up            start a control plane and leave its kubeconfig at .cluster/kubeconfig
		  down          end it and remove .cluster
		  kubectl ...   run kubectl against it
	END
}

build() {
	build_kubernetes
}

next_steps() {
	cat <<-END
		next:
		  export KUBECONFIG=$state/kubeconfig      for any client
		  hack/control-plane.sh kubectl get namespaces
		  hack/control-plane.sh down               when you are done
		There are no nodes: pods stay Pending, everything else works. Logs: .cluster/logs
	END
}

run_verb control-plane "$@"
