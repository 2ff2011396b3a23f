# One image a target, operator, gateway or k8s-server: a static binary and certificates, and nothing else.
#   docker build --target operator --tag mcp-operator:0.1.0 .
# Both bases can be pinned to a digest: --build-arg RUST_IMAGE=rust@sha256:...
ARG RUST_IMAGE=rust:1.95.0-bookworm
ARG BASE_IMAGE=scratch

FROM ${RUST_IMAGE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
ARG COMMIT=unknown
# With a target of its own, only what is for the image is built statically, and procedural macros as ever.
RUN target=$(rustc -vV | sed -n 's/^host: //p') && \
    MCP_OPERATOR_COMMIT="$COMMIT" RUSTFLAGS="-C target-feature=+crt-static" \
    cargo build --release --locked --target "$target" --package mcp-operator --package mcp-gateway --package mcp-k8s-server --bins && \
    mv "target/$target/release" /release

FROM ${BASE_IMAGE} AS static
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM static AS k8s-server
COPY --from=build /release/mcp-k8s-server /mcp-k8s-server
ENTRYPOINT ["/mcp-k8s-server"]

FROM static AS gateway
COPY --from=build /release/mcp-gateway /mcp-gateway
ENTRYPOINT ["/mcp-gateway"]

FROM static AS operator
COPY --from=build /release/mcp-operator /mcp-operator
ENTRYPOINT ["/mcp-operator"]
