#!/usr/bin/env bash
# A Kubernetes control plane without containers, built from Kubernetes' own modules. See hack/README.md.
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root
readonly module=$root/hack/local-cluster
readonly state=$root/.cluster
readonly store=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/local-cluster
# How long a control plane may take to end before it is made to, in tenths of a second.
readonly end_patience=150

usage() {
	cat <<-END
		usage: hack/control-plane.sh VERB

		  build         build the binary where it is missing, and print its path
		  up            start a control plane and leave its kubeconfig at .cluster/kubeconfig
		  down          end it and remove .cluster
		  kubectl ...   run kubectl against it
	END
}

say() {
	printf '%s\n' "$*" >&2
}

fail() {
	say "control-plane.sh: $*"
	exit 1
}

# The version of a module that go.mod requires.
required() {
	sed -n "s|^[[:space:]]*$1 v\([^ ]*\).*|\1|p" "$module/go.mod" | head -n 1
}

check_go() {
	local least found
	least=$(sed -n 's/^go //p' "$module/go.mod")
	command -v go >/dev/null || fail "go is not installed: the control plane needs Go $least or later"
	# A name such as "go1.26.1 X:something" is a version with settings behind it.
	found=$(cd "$module" && GOTOOLCHAIN=local go env GOVERSION)
	found=${found#go}
	found=${found%% *}
	if [[ $(printf '%s\n' "$least" "$found" | sort -V | head -n 1) != "$least" ]]; then
		fail "go $found is too old: the control plane needs Go $least or later"
	fi
}

# Without these, the components give themselves a version that clients cannot parse.
link_flags() {
	local version major minor package flags='-s -w'
	version=$(required k8s.io/kubernetes)
	IFS=. read -r major minor _ <<<"$version"
	for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
		flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
		flags+=" -X $package.gitTreeState=clean"
	done
	printf '%s' "$flags"
}

# What the binary is made of: its sources, the compiler, the flags.
fingerprint() {
	{
		(cd "$module" && find . -name '*.go' ! -name '*_test.go' -o -name go.mod -o -name go.sum) | LC_ALL=C sort |
			while read -r file; do
				printf '%s\n' "$file"
				cat "$module/$file"
			done
		(cd "$module" && GOTOOLCHAIN=local go version)
		link_flags
	} | sha256sum | cut -c 1-16
}

# Turns the names of compiled packages into a line now and then, and passes on everything else.
show_progress() {
	awk '
		/^[a-zA-Z0-9._\/-]+$/ { if (++count % 100 == 0) { print "  " count " packages compiled"; fflush() } next }
		{ print; fflush() }
	' >&2
}

build() {
	check_go
	local hash target new lock
	hash=$(fingerprint)
	target=$store/$hash/local-cluster
	if [[ ! -x $target ]]; then
		mkdir -p "$store/$hash"
		# Of two at once, one builds and the other waits for it.
		exec {lock}>"$store/lock"
		flock "$lock"
		if [[ ! -x $target ]]; then
			say "building Kubernetes $(required k8s.io/kubernetes); the first time takes 5 to 10 minutes on 2 cores"
			new=$store/$hash/.new
			# No C compiler is needed, and the binary runs on any machine of its kind.
			CGO_ENABLED=0 GOWORK=off go build -C "$module" -v -trimpath -ldflags "$(link_flags)" -o "$new" . 2>&1 |
				show_progress || fail "the build failed"
			mv "$new" "$target"
			say "built $target"
		fi
		exec {lock}>&-
	fi
	# Used today.
	touch "$store/$hash"
	# What nobody used for a day is an older one. A running one does not need its file any more.
	find "$store" -mindepth 1 -maxdepth 1 -type d -mtime +0 -exec rm -rf {} +
	printf '%s\n' "$target"
}

# When a process started, in the kernel's ticks; with its id that names it for good. Empty where none runs.
start_time() {
	local status
	{ status=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
	# The program's name comes before, in parentheses, and may hold anything; then comes the state, Z where it has ended.
	read -ra status <<<"${status##*) }"
	[[ ${status[0]} == Z ]] || printf '%s' "${status[19]}"
}

# The id of the control plane that runs; fails where none does.
running() {
	local pid started
	[[ -f $state/pid ]] || return 1
	read -r pid started <"$state/pid"
	[[ -n $started && $(start_time "$pid") == "$started" ]] || return 1
	printf '%s' "$pid"
}

with_kubectl() {
	local binary=$1
	shift
	# What kubectl learns about a cluster goes with the cluster.
	KUBECONFIG=$state/kubeconfig KUBECACHEDIR=$state/cache "$binary" kubectl "$@"
}

# Two that start or end at once take turns.
take_turn() {
	exec {turn}<"$root"
	flock "$turn"
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

up() {
	local binary pid
	binary=$(build)
	take_turn
	if pid=$(running); then
		if with_kubectl "$binary" get --raw /readyz --request-timeout=5s >/dev/null 2>&1; then
			say "already running (process $pid)"
			next_steps
			return
		fi
		fail "process $pid runs, but its API server does not answer: see .cluster/logs, then 'hack/control-plane.sh down'"
	fi
	rm -rf "$state"
	mkdir -p "$state"
	# Keeps it out of version control, wherever the repository's own rules stand.
	printf '*\n' >"$state/.gitignore"
	setsid "$binary" control-plane --kubeconfig "$state/kubeconfig" --log-dir "$state/logs" \
		</dev/null >"$state/out" 2>"$state/err" {turn}<&- &
	pid=$!
	printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$state/pid"
	# It gives up by itself where it takes too long.
	until grep -q '^ready ' "$state/out"; do
		if ! running >/dev/null; then
			cat "$state/err" >&2
			rm -rf "$state"
			fail "the control plane did not start"
		fi
		sleep 0.1
	done
	say "$(<"$state/out") (process $pid)"
	next_steps
}

down() {
	local pid tries
	take_turn
	if pid=$(running); then
		kill -TERM "$pid"
		for ((tries = 0; tries < end_patience; tries++)); do
			running >/dev/null || break
			sleep 0.1
		done
		# Its components end with it, and its watcher removes its data.
		if running >/dev/null; then
			kill -KILL "$pid"
		fi
		say "ended"
	else
		say "none is running"
	fi
	rm -rf "$state"
}

main() {
	local verb=${1:-}
	shift || true
	case $verb in
	build) build ;;
	up) up ;;
	down) down ;;
	kubectl)
		running >/dev/null || {
			# Where one ended by itself, this says why.
			cat "$state/err" 2>/dev/null >&2 || true
			fail "none is running: start one with 'hack/control-plane.sh up'"
		}
		local binary
		binary=$(build)
		with_kubectl "$binary" "$@"
		;;
	help | -h | --help) usage ;;
	*)
		usage >&2
		exit 2
		;;
	esac
}

main "$@"
