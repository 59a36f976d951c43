# Stands in for motoserver/moto, with the version that the tests have of PyPI.
FROM o11y-lab-stand-in/debian
ARG VERSION
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv /moto \
 && /moto/bin/pip install --no-cache-dir --disable-pip-version-check "moto[server]==$VERSION"
ENV PATH=/moto/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 5000
ENTRYPOINT ["/moto/bin/moto_server", "-H", "0.0.0.0"]
