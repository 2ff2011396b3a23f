# Every verb of the project. `make help` lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# The cluster that run, install and uninstall speak to: yours, or the local one where it is there.
KUBECONFIG ?= $(wildcard .cluster/kubeconfig)
export KUBECONFIG

KUBECTL = hack/kubectl.sh

##@ Try it
.PHONY: help demo
help: ## List the verbs
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## From nothing to servers whose tools a client calls, on a cluster of its own; then a dozen wrong manifests
	hack/demo.sh

##@ Test
.PHONY: test test-fast bench conformance coverage fuzz
test: ## Everything: fast tests, those on a real API server, and those with real pods
	hack/test.sh all

test-fast: ## Tests that need no cluster
	hack/test.sh fast

bench: ## Measure, and print each figure with what it is compared with
	hack/bench.sh

conformance: ## The official MCP conformance suite, both generations, against one gateway process
	hack/conformance.sh

fuzz: ## Try what a fuzzer makes up on the parsers; TARGET=request and DURATION=300 (seconds of each) narrow it
	hack/fuzz.sh "$(TARGET)" "$(DURATION)"

coverage: ## Which lines the fast tests reach, as a table
	hack/coverage.sh

##@ Change it
.PHONY: check lint format fix generate manifests
check: lint ## Everything that CI looks at before it tests: lint, generated files, each crate alone, fuzz targets, dependencies
	hack/check.sh

lint: ## Formatting, clippy with warnings as errors, shell scripts' syntax
	hack/lint.sh

format: ## Format the code
	$(CARGO) fmt --all

fix: format ## Format, and let clippy mend what it can
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged

generate: manifests ## Write every generated file: manifests, and documentation made from tests
	UPDATE=1 $(CARGO) test --quiet --workspace --test it -- docs command_line

manifests: ## Write the generated manifests: CRDs, roles, webhook configurations, the chart
	hack/manifests.sh

##@ Run it
.PHONY: control-plane cluster cluster-down image kind-create kind-load kind-delete run install uninstall deploy undeploy docker-build
control-plane: ## Start a local API server; its kubeconfig is .cluster/kubeconfig
	hack/control-plane.sh up

cluster: ## Start a local cluster with a node, without Docker; its kubeconfig is .cluster/kubeconfig
	hack/cluster.sh up

cluster-down: ## End either, and leave nothing behind
	hack/cluster.sh down

image: ## Make the images without Docker: target/images/*.tar
	hack/image.sh build

kind-create: ## Start a kind cluster, of KUBERNETES_VERSION where that is set
	hack/kind.sh create

kind-load: ## Load the images that docker-build made into it
	hack/kind.sh load

kind-delete: ## Delete it
	hack/kind.sh delete

install: ## Install the CRDs into the cluster
	$(KUBECTL) apply -f config/crd/bases

uninstall: ## Remove the CRDs, and with them every object of theirs
	$(KUBECTL) delete --ignore-not-found -f config/crd/bases

deploy: image ## Build the images, load them into the local cluster, install the operator, and wait until it is ready
	hack/image.sh load
	hack/deploy.sh up

undeploy: ## Remove the operator, every object of its kinds first
	hack/deploy.sh down

docker-build: ## Build the images with Docker; IMAGE_PREFIX=registry.example.com/mcp/ names them
	hack/docker-build.sh

run: ## Run the operator on this machine against the cluster, admission included
	hack/run.sh
