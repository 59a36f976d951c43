# syntax=docker/dockerfile:1.7
# One image for every role and lab command: docker run o11y-lab order
#
# The last stage is empty but for the program, the four to six libraries it is linked to, the
# certificate authorities and the names files of glibc. No shell, no package manager, nothing to update in place.

FROM rust:1.95.0-slim-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# C for ring, SQLite and librdkafka; OpenSSL for Kafka alone. Debian keeps one version of a package at
# a time, so a pinned one would stop building: the tag above pins the release.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends g++ libssl-dev make perl pkg-config \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /lab

# What tests set to build in half the time: without link-time optimisation, in parts. Cargo takes both from its
# environment; without a value they are not in it.
ARG CARGO_PROFILE_IMAGE_LTO
ARG CARGO_PROFILE_IMAGE_CODEGEN_UNITS

# The dependencies, in a layer that only the manifest and the lock file change. RUSTFLAGS and
# profile are the same below, or they would be built again.
COPY Cargo.toml Cargo.lock build.rs ./
RUN mkdir src \
 && echo 'fn main() {}' >src/main.rs \
 && touch src/lib.rs \
 && cargo build --profile image --locked --all-features \
 && rm -r src

# What `up --with` writes out is part of the program.
COPY alerts/lab alerts/lab
COPY deploy/alertmanager deploy/alertmanager
COPY deploy/prometheus deploy/prometheus
COPY docs/runbooks docs/runbooks
COPY src src
# What `--version` says: there is no repository here to ask. Not above, where each commit would build the dependencies.
ARG REVISION=unknown
ARG CREATED=unknown
# A checkout's files may be older than the stand-ins that were built above.
RUN touch src/main.rs src/lib.rs \
 && if date=$(date -u -d "$CREATED" +%s); then export SOURCE_DATE_EPOCH="$date"; fi \
 && O11Y_LAB_COMMIT="$REVISION" cargo build --profile image --locked --all-features

# What goes into the image, as a tree: the program and all that ldd says it loads.
RUN install -D target/image/o11y-lab /image/usr/bin/o11y-lab \
 && ldd target/image/o11y-lab | grep -oE '/[^ ]+' | xargs cp -L --parents -t /image \
 && install -D -m 644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
 && echo 'lab:x:65532:65532::/data:/sbin/nologin' >/image/etc/passwd \
 && echo 'lab:x:65532:' >/image/etc/group \
 # Without this file glibc asks the DNS for localhost before it looks into /etc/hosts.
 && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
 && install -d -m 1777 /image/tmp \
 && install -d -o 65532 -g 65532 -m 700 /image/data
COPY LICENSE /image/usr/share/doc/o11y-lab/LICENSE

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="o11y-lab" \
      org.opencontainers.image.description="A distributed-observability lab: five services, one binary" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
COPY --from=build /image /
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
WORKDIR /data
# Databases and the embedded queue; the only place written to, so the root may be read-only.
VOLUME ["/data"]
# Whoever starts a container chooses with -p what is reached of it.
ENV HOST=0.0.0.0 \
    UP_HOST=0.0.0.0 \
    DATA_DIR=/data \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
EXPOSE 3000 3001 3002 3003 3004 3005 4318
# The port is that of PORT or of O11Y_LAB_ROLE, else 3000: whoever names the role as an argument and
# not by O11Y_LAB_ROLE sets one of them too.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["/usr/bin/o11y-lab", "healthcheck"]
# No CMD: with O11Y_LAB_ROLE set, no argument is needed.
ENTRYPOINT ["/usr/bin/o11y-lab"]
