# Names for what a person and CI run; the work is done by cargo and by the scripts in hack/ and e2e/.

CACHE := $(or $(PORTCULLIS_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/portcullis)
export PORTCULLIS_CACHE := $(CACHE)
# Outside the checkout, so that a fresh clone does not build everything anew.
export CARGO_TARGET_DIR ?= $(CACHE)/target
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: check
check: ## Format, clippy and the tests that need no cluster
	@hack/test.sh format clippy unit

.PHONY: pod-security
pod-security: ## Compare pod-hardened with Kubernetes' own verdicts on its 148 fixtures (part of check and test; needs Go once)
	@cargo test --locked --test pod_security

.PHONY: test
test: ## Everything, cheap steps first, up to a real cluster with a node (root on Debian 12; the first run builds tools)
	@hack/test.sh

.PHONY: bench
bench: ## Benchmarks against a real API server
	@hack/bench.sh

.PHONY: profile
profile: ## Learn what the program does at work, so that release builds are faster and smaller (half an hour)
	@hack/profile.sh

.PHONY: generate
generate: ## Write crds/, the generated documents and manifests again
	@hack/generate.sh

.PHONY: lint
lint: ## Format, clippy, shell and Go code, chart
	@hack/test.sh format clippy scripts chart

.PHONY: demo
demo: ## Show a refused deployment and the audit on a real cluster (KEEP=1 keeps it; KUBECONFIG=FILE IMAGE=REF: on yours)
	@e2e/demo.sh

.PHONY: demo-down
demo-down: ## Take away what the demo left
	@e2e/demo.sh down

.PHONY: cluster-up
cluster-up: ## Bring up the throwaway cluster with a node
	@e2e/cluster/up.sh

.PHONY: cluster-down
cluster-down: ## Take the throwaway cluster down
	@e2e/cluster/down.sh

.PHONY: tools
tools: ## Find or build the pinned programs of the cluster
	@e2e/tools/build.sh

.PHONY: image
image: ## Build the program for release and push its image: make image IMAGE=REGISTRY/NAME:TAG
	@: $(or $(IMAGE),$(error IMAGE is not set: make image IMAGE=REGISTRY/NAME:TAG))
	@PROFILE=release hack/image.sh "$(IMAGE)"
