#!/usr/bin/env bash
# Writes the generated manifests: CRDs, roles, webhook configurations, the chart.
set -euo pipefail
cd "$(dirname "$0")/.."
built=$(hack/build.sh)
"$built/mcp-operator" crds --output-dir config/crd/bases
"$built/examples/rbac-manifests" config/rbac
"$built/examples/webhook-manifests" >config/webhook/manifests.yaml
hack/chart.sh
