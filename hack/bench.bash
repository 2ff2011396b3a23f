# What bench.sh and bench-gateway.sh share: what stands around the figures.
# shellcheck shell=bash
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Prints what is measured and where, and then each part as the script's own `measure` has it: report PART...
report() {
	local part
	printf '# %s, %s cores, load %s\n' "$(git describe --always --dirty 2>/dev/null || echo 'no commit')" \
		"$(nproc)" "$(cut -d ' ' -f 1-3 /proc/loadavg)"
	for part in "$@"; do
		printf '\n## %s\n\n' "$part"
		measure "$part"
	done
}
