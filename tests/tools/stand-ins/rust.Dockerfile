# Stands in for rust:slim: this machine's toolchain, on Debian.
FROM o11y-lab-stand-in/debian
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/*
COPY toolchain /usr/local
