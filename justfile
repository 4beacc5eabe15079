# Everything there is to do here; .ci/run calls these recipes and no others.

version := "0.1.0"

# Lists the recipes.
[private]
default:
    @just --list --unsorted

# Format, lint, purity, dependencies, generated files: all that can be said without running the program.
[group("check")]
check: format lint purity dependencies generated

# Is everything formatted?
[group("check")]
format:
    cargo fmt --all --check

# Clippy, with every warning an error.
[group("check")]
lint:
    cargo clippy --locked --workspace --all-targets -- -D warnings
    cargo clippy --manifest-path shared/fuzz/Cargo.toml --no-default-features --target-dir target -- -D warnings

# The decisions compile and pass without any input or output, and bring no runtime with them.
[group("check")]
purity:
    cargo test --locked --package shared --no-default-features --lib
    cargo tree --locked --package shared --no-default-features --edges normal --prefix none > target/pure-tree
    grep -q '^k8s-openapi ' target/pure-tree
    ! grep -E '^(tokio|hyper|tower|reqwest|kube|kube-client) ' target/pure-tree

# One Kubernetes API version, one TLS provider, licences, sources, and no dependency that nobody uses.
[group("check")]
dependencies:
    test "$(cargo tree --locked --workspace --prefix none | grep -oE '^k8s-openapi v[^ ]+' | sort -u | wc -l)" = 1
    cargo deny --locked check bans licenses sources
    cargo machete

# Known vulnerabilities. Needs the advisory database from the network, so it is not part of `check`.
[group("check")]
advisories:
    cargo deny --locked check advisories

# What is generated is committed as it is generated.
[group("check")]
generated:
    kubectl kustomize deploy/manifests | diff -u deploy/install.yaml - || (echo "run: just generate" && false)

# Writes deploy/install.yaml from deploy/manifests.
[group("check")]
generate:
    kubectl kustomize deploy/manifests > deploy/install.yaml

# The tests: hermetic, no cluster, no network. The README's own command.
[group("test")]
test:
    cargo test --workspace

# The demo: the whole way once, in a sandbox.
[group("test")]
demo *ARGUMENTS:
    cargo demo {{ ARGUMENTS }}

# The same binaries against Debian's docker-registry and Prometheus, with the real kubectl and skopeo, and their pages in Chromium.
[group("test")]
e2e:
    for tool in kubectl skopeo docker-registry prometheus promtool chromium; do command -v $tool > /dev/null || { echo "e2e needs $tool on the PATH"; exit 1; }; done
    cargo test --locked --workspace --test it -- --ignored --test-threads 2

# Writes docs/*.png for the README: what a run of the updater shows in Chromium.
[group("test")]
screenshots:
    SCREENSHOTS="$PWD/docs" cargo test --locked --workspace --test it -- --ignored the_pages_can_be_shown_in_the_readme

# How long decisions take; FILTER is a part of a bench's name. docs/benchmarks.md says what to expect.
[group("test")]
bench *FILTER:
    cargo bench --locked --package shared -- {{ FILTER }}

# The scanner against Debian's docker-registry, beside wrk and skopeo; docs/benchmarks.md says what to expect. --help names the OPTIONS.
[group("test")]
bench-scan *OPTIONS:
    for tool in wrk docker-registry; do command -v $tool > /dev/null || { echo "bench-scan needs $tool on the PATH"; exit 1; }; done
    cargo build --locked --profile dist --package scanner
    cargo bench --locked --package tests --bench scan -- --scanner "$PWD/target/dist/kubefresh-scanner" {{ OPTIONS }}

# The updater against the sandbox's API server, with 1,000 and 10,000 workloads; docs/benchmarks.md says what to expect. --help names the OPTIONS.
[group("test")]
bench-updater *OPTIONS:
    cargo build --locked --profile dist --package updater
    cargo bench --locked --package tests --bench updater -- --updater "$PWD/target/dist/kubefresh-updater" {{ OPTIONS }}

# Looks for inputs that break TARGET (reference, tag or policy) for so many SECONDS. Needs a nightly toolchain, a C++ compiler and cargo-fuzz.
[group("test")]
fuzz TARGET SECONDS="300":
    cd shared && cargo +nightly fuzz run {{ TARGET }} -- -max_total_time={{ SECONDS }} -timeout=10 -dict=fuzz/tokens.dict

# Builds both images and pushes them to REGISTRY (such as registry.example.com/team), then points the manifests at them.
[group("image")]
images REGISTRY:
    docker build --file Dockerfile.scanner --tag {{ REGISTRY }}/kubefresh-scanner:{{ version }} .
    docker build --file Dockerfile.updater --tag {{ REGISTRY }}/kubefresh-updater:{{ version }} .
    docker push {{ REGISTRY }}/kubefresh-scanner:{{ version }}
    docker push {{ REGISTRY }}/kubefresh-updater:{{ version }}
    sed -i -E 's#(newName: ).*(kubefresh-(scanner|updater))$#\1{{ REGISTRY }}/\2#' deploy/manifests/kustomization.yaml
    just generate
    @echo "next: kubectl apply -k deploy/manifests"
