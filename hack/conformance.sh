#!/usr/bin/env bash
# Runs the official conformance suite, both of its requirement sets, against one gateway process that serves the objects in
# tests/conformance/objects and one small HTTP service. Each set ends with a line `N passed, N failed`.
#
#   hack/conformance.sh [--url URL] [SET...]
#
# With a URL it asks whoever serves those objects there. The sets are 2025-11-25 and 2026-07-28.
set -euo pipefail
cd "$(dirname "$0")/.."

url=''
if [[ ${1:-} == --url ]]; then
	url=$2
	shift 2
fi

# The suite needs Node.js 22, which npm brings, and leaves the machine's own alone.
suite=${XDG_CACHE_HOME:-$HOME/.cache}/mcp-operator/conformance
mkdir -p "$suite"
command -v npm >/dev/null || {
	echo "npm is not installed, and the conformance suite needs it: install Node.js 20 or later, with npm" >&2
	exit 1
}
if ! cmp --silent tests/conformance/package.json "$suite/package.json"; then
	cp tests/conformance/package.json "$suite/package.json"
	(cd "$suite" && npm install --silent --no-audit --no-fund >&2) || {
		rm -f "$suite/package.json"
		exit 1
	}
fi
node=$suite/node_modules/.bin/node
conformance=$suite/node_modules/@modelcontextprotocol/conformance/dist/index.js

work=$(mktemp -d)
pids=()
end() {
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work"
}
trap end EXIT

# Starts a gateway and the service, and sets $url.
serve() {
	local built service_port port deadline
	built=$(hack/build.sh)
	cp -r tests/conformance/objects "$work/objects"
	service_port=$((20000 + RANDOM % 10000))
	port=$((30000 + RANDOM % 10000))
	"$built/examples/conformance-service" "127.0.0.1:$service_port" "$work/objects" &
	pids+=($!)
	"$built/mcp-gateway" serve --manifests "$work/objects" --port "$port" --admin-port 0 \
		--service "conformance-service=127.0.0.1:$service_port" --log-format text >"$work/log" 2>&1 &
	pids+=($!)
	url=http://127.0.0.1:$port/mcp
	deadline=$((SECONDS + 30))
	until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null &&
		(exec 3<>"/dev/tcp/127.0.0.1/$service_port") 2>/dev/null; do
		if ((SECONDS >= deadline)); then
			echo "the gateway did not start" >&2
			cat "$work/log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

[[ -n $url ]] || serve

# Says which checks a set's results found wanting: a scenario's own line only counts them.
wanting() {
	"$node" -e '
		const fs = require("fs");
		for (const scenario of fs.readdirSync(process.argv[1])) {
			for (const check of JSON.parse(fs.readFileSync(`${process.argv[1]}/${scenario}/checks.json`, "utf8"))) {
				if (check.status == "FAILURE" || check.status == "WARNING")
					console.log(`${check.status} ${scenario}: ${check.id}: ${check.errorMessage}`);
			}
		}' "$1"
}

# Sums up what counts: the suite also runs scenarios that a requirement set does not score, and lists them apart.
count() {
	"$node" "$conformance" list --requirements "$1" | awk '
		FNR == NR {
			if (/never scored/) unscored = 1
			if (unscored && $1 == "-") skip[$2 ":"] = 1
			next
		}
		($1 == "✓" || $1 == "✗") && /passed,/ && !($2 in skip) { passed += $3; failed += $5 }
		END { printf "%d passed, %d failed\n", passed, failed }' - "$2"
}

status=0
for set in ${*:-2025-11-25 2026-07-28}; do
	log=$work/$set.log
	if ! "$node" "$conformance" server --url "$url" --requirements "$set" \
		--expected-failures tests/conformance/expected-failures.yaml -o "$work/$set" >"$log" 2>&1; then
		status=1
		tail -n 50 "$log"
		wanting "$work/$set"
	fi
	echo "requirements of $set:"
	sed -n '/^=== SUMMARY ===$/,$ { /^===/d; /^Total/d; /./p }' "$log"
	count "$set" "$log"
	echo
done
exit "$status"
