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

next_steps() {
	cat <<-END
		next:
		  export KUBECONFIG=$state/kubeconfig      for any client
		  hack/control-plane.sh kubectl get namespaces
		  hack/control-plane.sh down               when you are done
		There are no nodes: pods stay Pending, everything else works. Logs: .cluster/logs
	END
}

verb=${1:-}
shift || true
case $verb in
build) build_kubernetes ;;
up)
	up "$(build_kubernetes)" control-plane
	next_steps
	;;
down) down ;;
kubectl) kubectl "$@" ;;
help | -h | --help) usage ;;
*)
	usage >&2
	exit 2
	;;
esac
