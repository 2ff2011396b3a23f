# What control-plane.sh and cluster.sh share: building what runs, keeping one of them in the background, and their verbs.
# shellcheck shell=bash
set -euo pipefail
shopt -s inherit_errexit

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
readonly state=$root/.cluster
readonly store=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator
# How long a cluster may take to end before it is made to, in tenths of a second.
readonly end_patience=150

say() {
	printf '%s\n' "$*" >&2
}

fail() {
	say "${0##*/}: $*"
	exit 1
}

# The version of a module that a module of ours requires: required MODULE OF
required() {
	sed -n "s|^[[:space:]]*$2 v\([^ ]*\).*|\1|p" "$root/hack/$1/go.mod" | head -n 1
}

check_go() {
	local least found
	least=$(sed -n 's/^go //p' "$root/hack/$1/go.mod")
	command -v go >/dev/null || fail "go is not installed: Go $least or later is needed"
	# A name such as "go1.26.1 X:something" is a version with settings behind it.
	found=$(cd "$root/hack/$1" && GOTOOLCHAIN=local go env GOVERSION)
	found=${found#go}
	found=${found%% *}
	if [[ $(printf '%s\n' "$least" "$found" | sort -V | head -n 1) != "$least" ]]; then
		fail "go $found is too old: Go $least or later is needed"
	fi
}

link_flags() {
	local version major minor package flags='-s -w'
	if [[ $1 == local-cluster ]]; then
		# Without these, the components give themselves a version that clients cannot parse.
		version=$(required local-cluster k8s.io/kubernetes)
		IFS=. read -r major minor _ <<<"$version"
		for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
			flags+=" -X $package.gitVersion=v$version -X $package.gitMajor=$major -X $package.gitMinor=$minor"
			flags+=" -X $package.gitTreeState=clean"
		done
	fi
	printf '%s' "$flags"
}

# What a module's binaries are made of: its sources, the compiler, the flags.
fingerprint() {
	{
		(cd "$root/hack/$1" && find . \( -name '*.go' ! -name '*_test.go' \) -o -name go.mod -o -name go.sum -o -path './files/*') |
			LC_ALL=C sort | while read -r file; do
			printf '%s\n' "$file"
			cat "$root/hack/$1/$file"
		done
		(cd "$root/hack/$1" && GOTOOLCHAIN=local go version)
		link_flags "$1"
	} | sha256sum | cut -c 1-16
}

# Turns the names of compiled packages into a line now and then, and passes on everything else.
show_progress() {
	awk '
		/^[a-zA-Z0-9._\/-]+$/ { if (++count % 100 == 0) { print "  " count " packages compiled"; fflush() } next }
		{ print; fflush() }
	' >&2
}

# Of two at once, one makes and the other waits for it: once FILE COMMAND...
once() {
	local made=$1 lock
	shift
	[[ -e $made ]] && return
	mkdir -p "$(dirname "$made")"
	exec {lock}>"$(dirname "$(dirname "$made")")/lock"
	flock "$lock"
	[[ -e $made ]] || "$@"
	exec {lock}>&-
}

# Notes that something in the store is used today. What nobody used for a day is an older one; what runs does not need its
# file any more.
use() {
	touch "$1"
	find "$(dirname "$1")" -mindepth 1 -maxdepth 1 -type d -mtime +0 -exec rm -rf {} +
}

compile() {
	local module=$1 target=$2 what=$3
	say "building $what"
	# No C compiler is needed, and the binary runs on any machine of its kind.
	CGO_ENABLED=0 GOWORK=off go build -C "$root/hack/$module" -v -trimpath -ldflags "$(link_flags "$module")" \
		-o "$target.new" "${4:-.}" 2>&1 | show_progress || fail "the build failed"
	mv "$target.new" "$target"
	say "built $target"
}

# Builds a module's program where it is missing, and prints its path: build MODULE WHAT [PACKAGE]
build_module() {
	local module=$1 what=$2 package=${3:-.} name target
	check_go "$module"
	name=$module
	[[ $package == . ]] || name=${package##*/}
	target=$store/$name/$(fingerprint "$module")/$name
	once "$target" compile "$module" "$target" "$what" "$package"
	use "$(dirname "$target")"
	printf '%s\n' "$target"
}

build_kubernetes() {
	build_module local-cluster \
		"Kubernetes $(required local-cluster k8s.io/kubernetes); the first time takes 5 to 10 minutes on 2 cores"
}

# When a process started, in the kernel's ticks; with its id that names it for good. Empty where none runs.
start_time() {
	local status
	{ status=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
	# The program's name comes before, in parentheses, and may hold anything; then comes the state, Z where it has ended.
	read -ra status <<<"${status##*) }"
	[[ ${status[0]} == Z ]] || printf '%s' "${status[19]}"
}

# The id of the cluster that runs; fails where none does.
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

# Starts a cluster, or a control plane alone: up BINARY cluster|control-plane
up() {
	local binary=$1 kind=$2 pid runs
	take_turn
	if pid=$(running); then
		runs=$(<"$state/kind")
		if [[ $runs != "$kind" ]]; then
			fail "a $runs runs already (process $pid): end it with 'make cluster-down' first"
		fi
		if with_kubectl "$binary" get --raw /readyz --request-timeout=5s >/dev/null 2>&1; then
			say "already running (process $pid)"
			return
		fi
		fail "process $pid runs, but its API server does not answer: see .cluster/logs, then 'make cluster-down'"
	fi
	rm -rf "$state"
	mkdir -p "$state"
	# Keeps it out of version control, wherever the repository's own rules stand.
	printf '*\n' >"$state/.gitignore"
	printf '%s\n' "$kind" >"$state/kind"
	setsid "$binary" "$kind" --kubeconfig "$state/kubeconfig" --log-dir "$state/logs" \
		</dev/null >"$state/out" 2>"$state/err" {turn}<&- &
	pid=$!
	printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$state/pid"
	# It gives up by itself where it takes too long.
	until grep -qs "^ready " "$state/out"; do
		if ! running >/dev/null; then
			cat "$state/err" >&2
			rm -rf "$state"
			fail "the $kind did not start"
		fi
		sleep 0.1
	done
	say "$(<"$state/out") (process $pid)"
}

down() {
	local pid tries binary
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
	# Of one that was killed together with its watcher.
	for binary in "$store"/local-cluster/*/local-cluster; do
		if [[ -x $binary ]]; then
			"$binary" sweep >/dev/null 2>&1 || true
			break
		fi
	done
	rm -rf "$state"
}

kubectl() {
	running >/dev/null || {
		# Where one ended by itself, this says why.
		cat "$state/err" 2>/dev/null >&2 || true
		fail "none is running: start one with 'make control-plane' or 'make cluster'"
	}
	with_kubectl "$(build_kubernetes)" "$@"
}

# Does what a verb says, with the script's own `usage`, `build` and `next_steps`: run_verb cluster|control-plane VERB...
run_verb() {
	local kind=$1 verb=${2:-}
	shift
	shift || true
	case $verb in
	build) build ;;
	up)
		up "$(build)" "$kind"
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
}
